------------------------------ MODULE Guarantees ------------------------------
(* What one client may see of one table at nodes of any site: sessions, bounds on staleness, global reads, watches. That each node shows a prefix of one history is what SiteReplication is about; here it is a number for each.
   Time is the nodes' own, which no clock of another machine enters. tla/README.md says what each action is in the code, and what is left out. *)
EXTENDS Naturals, Sequences

CONSTANTS
    Nodes,       \* that serve reads, of any site, numbers from 1 on
    MaxRevision, \* so many writes
    MaxTime,     \* so long
    Observed,    \* what clients do: "sessions", "staleness", "global-reads", "watches". They do not depend on each other
    Broken       \* what is done wrong; "nothing" is the system

VARIABLES
    now,
    committed, \* the leader site's revision
    written,   \* revision -> when it was acknowledged
    shows,     \* node -> the revision that it shows
    asked,     \* node -> the question to the leader site that is on its way, [at, answer]; answer is the revision, or Unknown
    moment,    \* node -> all that was acknowledged before it is here; 0: not known
    session,   \* the revision that the client has seen or written
    read,      \* its last read, [seen, got]: what it had seen when it asked, and the revision that it got
    global,    \* its last global read, [before, got]: what was committed when it asked
    next,      \* the revision that its watch has to bring next
    events     \* the revisions that its watch has brought

vars == <<now, committed, written, shows, asked, moment, session, read, global, next, events>>

Unknown == MaxRevision + 1
NoQuestion == [at |-> 0, answer |-> Unknown]
Max(a, b) == IF a > b THEN a ELSE b

Init ==
    /\ now = 1
    /\ committed = 0
    /\ written = <<>>
    /\ shows = [n \in Nodes |-> 0]
    /\ asked = [n \in Nodes |-> NoQuestion]
    /\ moment = [n \in Nodes |-> 0]
    /\ session = 0
    /\ read = [seen |-> 0, got |-> 0]
    /\ global = [before |-> 0, got |-> 0]
    /\ next = 1
    /\ events = <<>>

Tick ==
    /\ "staleness" \in Observed
    /\ now < MaxTime
    /\ now' = now + 1
    /\ UNCHANGED <<committed, written, shows, asked, moment, session, read, global, next, events>>

(* Somebody writes, at whichever site; our client has the reply's revision in its session. *)
Write(isOurs) ==
    /\ committed < MaxRevision
    /\ committed' = committed + 1
    /\ written' = Append(written, now)
    /\ isOurs => "sessions" \in Observed
    /\ session' = IF isOurs THEN committed + 1 ELSE session
    /\ UNCHANGED <<now, shows, asked, moment, read, global, next, events>>

Advance(n) ==
    /\ shows[n] < committed
    /\ shows' = [shows EXCEPT ![n] = shows[n] + 1]
    /\ UNCHANGED <<now, committed, written, asked, moment, session, read, global, next, events>>

(* A crash may take a node back to what it had flushed. What it knew of its staleness is gone; a session's token is the client's. *)
Restart(n) ==
    /\ shows[n] > 0
    /\ shows' = [shows EXCEPT ![n] = shows[n] - 1]
    /\ moment' = [moment EXCEPT ![n] = IF Broken = "keeps-its-moment-over-a-restart" THEN moment[n] ELSE 0]
    /\ asked' = [asked EXCEPT ![n] = NoQuestion]
    /\ UNCHANGED <<now, committed, written, session, read, global, next, events>>

------------------------------------------------------------------------------
(* Staleness: a node asks how far the leader site is. The answer is behind a barrier, so it has all that was acknowledged before the question. *)

Ask(n) ==
    /\ "staleness" \in Observed
    /\ asked[n] = NoQuestion
    /\ asked' = [asked EXCEPT ![n] = [at |-> now, answer |-> Unknown]]
    /\ UNCHANGED <<now, committed, written, shows, moment, session, read, global, next, events>>

Answer(n, revision) ==
    /\ asked[n].at > 0
    /\ asked[n].answer = Unknown
    /\ revision = committed \/ Broken = "answers-without-a-barrier"
    /\ asked' = [asked EXCEPT ![n].answer = revision]
    /\ UNCHANGED <<now, committed, written, shows, moment, session, read, global, next, events>>

(* It counts once that much is here; from the question on, not from the answer. *)
Confirm(n) ==
    /\ asked[n].answer # Unknown
    /\ shows[n] >= asked[n].answer \/ Broken = "does-not-wait-for-what-it-was-told"
    /\ moment' = [moment EXCEPT ![n] = Max(moment[n], IF Broken = "counts-from-the-answer" THEN now ELSE asked[n].at)]
    /\ asked' = [asked EXCEPT ![n] = NoQuestion]
    /\ UNCHANGED <<now, committed, written, shows, session, read, global, next, events>>

------------------------------------------------------------------------------
(* The client. A node that has not come as far waits, which is that the read is later. *)

Read(n) ==
    /\ "sessions" \in Observed
    /\ shows[n] >= session \/ Broken = "ignores-sessions"
    /\ read' = [seen |-> session, got |-> shows[n]]
    /\ session' = Max(session, shows[n])
    /\ UNCHANGED <<now, committed, written, shows, asked, moment, global, next, events>>

(* The leader site answers, behind a barrier: nothing that was committed when the read began is missing. *)
BeginGlobal ==
    /\ "global-reads" \in Observed
    /\ global.got = Unknown \/ global.before < committed
    /\ global' = [before |-> committed, got |-> Unknown]
    /\ UNCHANGED <<now, committed, written, shows, asked, moment, session, read, next, events>>

EndGlobal(n) ==
    /\ global.got = Unknown
    /\ global' = [global EXCEPT !.got = IF Broken = "answers-global-reads-itself" THEN shows[n] ELSE committed]
    /\ UNCHANGED <<now, committed, written, shows, asked, moment, session, read, next, events>>

(* A watch is a position; whoever serves it has to have come that far. *)
Bring(n) ==
    /\ "watches" \in Observed
    /\ shows[n] >= next
    /\ Len(events) < MaxRevision
    /\ events' = Append(events, next)
    /\ next' = next + 1
    /\ UNCHANGED <<now, committed, written, shows, asked, moment, session, read, global>>

(* It goes on at another node. *)
Hop(n) ==
    /\ Broken = "watches-go-on-with-what-is-new"
    /\ next' = shows[n] + 1
    /\ UNCHANGED <<now, committed, written, shows, asked, moment, session, read, global, events>>

Next ==
    \/ Tick \/ Write(TRUE) \/ Write(FALSE) \/ BeginGlobal
    \/ \E n \in Nodes : Advance(n) \/ Restart(n) \/ Ask(n) \/ Confirm(n) \/ Read(n) \/ EndGlobal(n) \/ Bring(n) \/ Hop(n)
    \/ \E n \in Nodes, revision \in 0..committed : Answer(n, revision)

Spec == Init /\ [][Next]_vars

------------------------------------------------------------------------------
TypeOK ==
    /\ \A n \in Nodes : shows[n] <= committed
    /\ committed = Len(written)

(* G3 *)
SessionsNeverGoBack == read.got >= read.seen

(* G5: a read at any moment says now - moment, and misses nothing that had been acknowledged before. *)
BoundHolds == \A n \in Nodes : moment[n] > 0 => \A revision \in (shows[n] + 1)..committed : written[revision] >= moment[n]

(* G6 *)
GlobalReadsMissNothing == global.got >= global.before

(* G8 *)
EveryChangeOnceInOrder == \A i \in 1..Len(events) : events[i] = i
=============================================================================
