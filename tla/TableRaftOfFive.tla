--------------------------- MODULE TableRaftOfFive ---------------------------
(* TableRaft with five nodes has too many states to look at all of them. Here node 1 leads and makes one entry, nodes 2 and 4 may stand for election, and node 3 may lose its disk: a candidate may then still have its vote
   when it is back. For TLC only. *)
EXTENDS TableRaft

Few ==
    \/ Propose(1) \/ Sync(1) \/ Sync(2) \/ Acknowledge(2, 1)
    \/ \E n \in {4, 5} : Receive(n, 1, 0, Len(led[1])) \/ Sync(n) \/ Acknowledge(n, 1)
    \/ Receive(2, 1, 0, Len(led[1]))
    \/ Len(log[1]) > 0 /\ Commit(1, Len(log[1]))
    \/ \E candidate \in {2, 4} : Stand(candidate) \/ Win(candidate) \/ \E n \in Nodes : Vote(candidate, n)
    \/ Wipe(3) \/ ComeBack(3, 1)
    \/ \E others \in SUBSET (Nodes \ {3}) : AskTerms(3, others)

FewSpec == Init /\ [][Few]_vars
=============================================================================
