----------------------------- MODULE SiteHistory -----------------------------
(* What SiteReplication comes to: each node of a follower site shows a prefix of a history of its leader site, and only goes on. *)
EXTENDS Naturals, Sequences

CONSTANTS Nodes

VARIABLES history, forks, pasts, shown

Prefix(changes, length) == SubSeq(changes, 1, length)

Init ==
    /\ history = <<>>
    /\ forks = 0
    /\ pasts = {}
    /\ shown = [n \in Nodes |-> <<>>]

Write ==
    /\ history' = Append(history, forks)
    /\ UNCHANGED <<forks, pasts, shown>>

PutBack ==
    /\ \E length \in 0..(Len(history) - 1) : history' = Prefix(history, length)
    /\ forks' = forks + 1
    /\ pasts' = pasts \union {history}
    /\ UNCHANGED shown

(* To a later revision, of the history that it shows or of another one: whether it may be another one is not said here. *)
Advance(n) ==
    /\ \E whole \in pasts \union {history} : \E length \in (Len(shown[n]) + 1)..Len(whole) : shown' = [shown EXCEPT ![n] = Prefix(whole, length)]
    /\ UNCHANGED <<history, forks, pasts>>

Next == Write \/ PutBack \/ \E n \in Nodes : Advance(n)

Spec == Init /\ [][Next]_<<history, forks, pasts, shown>>
=============================================================================
