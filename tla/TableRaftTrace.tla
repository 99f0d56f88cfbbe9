--------------------------- MODULE TableRaftTrace ---------------------------
(* Whether what three nodes did was a behaviour of TableRaft: their trace, as a sequence of its actions, is in the module TraceData, which a test writes (tests/Regatta.Raft.Tests/TlcTraceTests.fs; the
   translation is spec/Regatta.Spec/TlaTrace.fs). It was one if TLC refutes Unfinished. *)
EXTENDS TableRaft, TraceData

VARIABLE at

(* A vote may reach a candidate that has won without it. *)
VoteOrHear(candidate, voter) ==
    \/ Vote(candidate, voter)
    \/ role[candidate] # "candidate" /\ HearTerm(voter, candidate)

(* A leader may know it already. *)
Learns(n, leader, index) ==
    \/ acked[leader][n] >= index /\ UNCHANGED vars
    \/ Acknowledge(n, leader) /\ acked'[leader][n] >= index

Do(action) ==
    CASE action[1] = "Stand" -> Stand(action[2])
      [] action[1] = "Vote" -> VoteOrHear(action[2], action[3])
      [] action[1] = "HearTerm" -> \E m \in Nodes : term[m] = action[3] /\ HearTerm(action[2], m)
      [] action[1] = "Win" -> Win(action[2])
      [] action[1] = "Propose" -> Propose(action[2])
      [] action[1] = "Receive" -> Receive(action[2], action[3], action[4], action[5])
      [] action[1] = "Sync" -> Sync(action[2])
      [] action[1] = "Acknowledge" -> Learns(action[2], action[3], action[4])
      [] action[1] = "Commit" -> Commit(action[2], action[3])
      [] action[1] = "Crash" -> Crash(action[2])

TraceSpec ==
    /\ Init /\ at = 1
    /\ [][at <= Len(Trace) /\ Do(Trace[at]) /\ at' = at + 1]_<<vars, at>>

Unfinished == at <= Len(Trace)
=============================================================================
