------------------------------ MODULE TableRaft ------------------------------
(* One table's Raft group inside a site, as the nodes run it: a disk that loses what was not synced, acknowledgements behind the sync, snapshots that replace a log, disks that are lost altogether,
   and the rule by which a node without its disk comes back. tla/README.md says what each action is in the code, and what is left out. *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Nodes,      \* the members, numbers from 1 on
    MaxTerm,    \* no election beyond this term
    MaxLog,     \* no entry beyond this index
    MaxWipes,   \* so many disks are lost
    First,      \* who leads term 1 at the beginning, with the votes of all; 0: it begins with nothing
    Broken      \* what is done wrong; "nothing" is the system

VARIABLES
    term,       \* node -> its term; durable before anybody is told
    vote,       \* node -> whom it has voted for in this term, 0: nobody; durable likewise
    log,        \* node -> its entries, [term, by]: the leader who made it, and its term as it has it
    disk,       \* node -> the entries that survive a crash
    role,       \* node -> "follower", "candidate", "leader" or "empty": without its disk, and no member yet
    votes,      \* node -> who has voted for it, while it is a candidate
    commit,     \* node -> the index up to which it knows its log to be committed
    acked,      \* node -> node -> the index up to which a leader has an acknowledgement from a member
    sure,       \* node -> the index up to which its log is known to be that of the leader of its term
    asked,      \* node -> the least term it may come back in; 0: it has not asked yet
    led,        \* term -> the log of its leader so far: each message of that term is a piece of it
    told,       \* term -> the greatest commit index that its leader has told
    winners,    \* term -> who has led it
    kept,       \* what was acknowledged to clients, in order
    wipes       \* how many disks were lost

vars == <<term, vote, log, disk, role, votes, commit, acked, sure, asked, led, told, winners, kept, wipes>>

Terms == 1..MaxTerm
Nobody == 0
Min(a, b) == IF a < b THEN a ELSE b
Max(a, b) == IF a > b THEN a ELSE b
IsMajority(some, all) == 2 * Cardinality(some) > Cardinality(all)
Prefix(entries, length) == SubSeq(entries, 1, length)
LastTerm(entries) == IF entries = <<>> THEN 0 ELSE entries[Len(entries)].term
IsPrefix(a, b) == Len(a) <= Len(b) /\ Prefix(b, Len(a)) = a
Agree(a, b, length) == \A i \in 1..length : i <= Len(a) /\ i <= Len(b) /\ a[i] = b[i]

(* How much of a node's log would be there after a crash. *)
Durable(n) == IF Agree(log[n], disk[n], Len(log[n])) THEN Len(log[n])
              ELSE (CHOOSE i \in 0..Len(log[n]) : Agree(log[n], disk[n], i) /\ ~Agree(log[n], disk[n], i + 1))

NoAcks == [m \in Nodes |-> 0]

Init ==
    /\ term = [n \in Nodes |-> IF First = 0 THEN 0 ELSE 1]
    /\ vote = [n \in Nodes |-> First]
    /\ log = [n \in Nodes |-> <<>>]
    /\ disk = [n \in Nodes |-> <<>>]
    /\ role = [n \in Nodes |-> IF n = First THEN "leader" ELSE "follower"]
    /\ votes = [n \in Nodes |-> {}]
    /\ commit = [n \in Nodes |-> 0]
    /\ acked = [n \in Nodes |-> NoAcks]
    /\ sure = [n \in Nodes |-> 0]
    /\ asked = [n \in Nodes |-> 0]
    /\ led = [t \in Terms |-> <<>>]
    /\ told = [t \in Terms |-> 0]
    /\ winners = [t \in Terms |-> IF t = 1 THEN {First} \ {0} ELSE {}]
    /\ kept = <<>>
    /\ wipes = 0

------------------------------------------------------------------------------
(* Elections. A preliminary vote decides only who stands when, so it is left out. *)

Stand(n) ==
    /\ role[n] \in {"follower", "candidate"}
    /\ term[n] < MaxTerm
    /\ term' = [term EXCEPT ![n] = term[n] + 1]
    /\ vote' = [vote EXCEPT ![n] = n]
    /\ role' = [role EXCEPT ![n] = "candidate"]
    /\ votes' = [votes EXCEPT ![n] = {n}]
    /\ sure' = [sure EXCEPT ![n] = 0]
    /\ UNCHANGED <<log, disk, commit, acked, asked, led, told, winners, kept, wipes>>

IsAsNew(candidate, voter) ==
    \/ LastTerm(log[candidate]) > LastTerm(log[voter])
    \/ LastTerm(log[candidate]) = LastTerm(log[voter]) /\ Len(log[candidate]) >= Len(log[voter])

(* What a node becomes that hears of a term beyond its own, or of the leader of its own. *)
Follow(n, t) ==
    /\ term' = [term EXCEPT ![n] = t]
    /\ role' = [role EXCEPT ![n] = "follower"]
    /\ votes' = [votes EXCEPT ![n] = {}]
    /\ acked' = [acked EXCEPT ![n] = NoAcks]

Vote(candidate, voter) ==
    /\ candidate # voter
    /\ role[candidate] = "candidate"
    /\ role[voter] # "empty"
    /\ IsAsNew(candidate, voter)
    /\ \/ term[voter] < term[candidate]
       \/ term[voter] = term[candidate] /\ vote[voter] \in {Nobody, candidate} /\ role[voter] = "follower"
    /\ voter \notin votes[candidate]
    /\ term' = [term EXCEPT ![voter] = term[candidate]]
    /\ vote' = [vote EXCEPT ![voter] = candidate]
    /\ role' = [role EXCEPT ![voter] = "follower"]
    /\ votes' = [votes EXCEPT ![voter] = {}, ![candidate] = votes[candidate] \union {voter}]
    /\ acked' = [acked EXCEPT ![voter] = NoAcks]
    /\ sure' = [sure EXCEPT ![voter] = IF term[voter] = term[candidate] THEN sure[voter] ELSE 0]
    /\ UNCHANGED <<log, disk, commit, asked, led, told, winners, kept, wipes>>

(* Any reply or request tells its sender's term. *)
HearTerm(n, m) ==
    /\ role[n] # "empty"
    /\ term[n] < term[m]
    /\ Follow(n, term[m])
    /\ vote' = [vote EXCEPT ![n] = Nobody]
    /\ sure' = [sure EXCEPT ![n] = 0]
    /\ UNCHANGED <<log, disk, commit, asked, led, told, winners, kept, wipes>>

Win(n) ==
    /\ role[n] = "candidate"
    /\ IsMajority(votes[n], Nodes)
    /\ role' = [role EXCEPT ![n] = "leader"]
    /\ votes' = [votes EXCEPT ![n] = {}]
    /\ winners' = [winners EXCEPT ![term[n]] = winners[term[n]] \union {n}]
    /\ led' = [led EXCEPT ![term[n]] = log[n]]
    /\ UNCHANGED <<term, vote, log, disk, commit, acked, sure, asked, told, kept, wipes>>

------------------------------------------------------------------------------
(* Entries. An entry is a batch of commands; which ones, and what they do, is none of this module's business. *)

Propose(n) ==
    /\ role[n] = "leader"
    /\ Len(log[n]) < MaxLog
    /\ log' = [log EXCEPT ![n] = Append(log[n], [term |-> term[n], by |-> n])]
    /\ led' = [led EXCEPT ![term[n]] = IF winners[term[n]] = {n} THEN log'[n] ELSE led[term[n]]]
    /\ UNCHANGED <<term, vote, disk, role, votes, commit, acked, sure, asked, told, winners, kept, wipes>>

(* A leader that has stored the term of its successor, and does not know yet that it is none any more. *)
LingerOn(n, m) ==
    /\ Broken = "proposes-in-anothers-term"
    /\ role[n] = "leader"
    /\ term[n] < term[m]
    /\ term' = [term EXCEPT ![n] = term[m]]
    /\ vote' = [vote EXCEPT ![n] = Nobody]
    /\ UNCHANGED <<log, disk, role, votes, commit, acked, sure, asked, led, told, winners, kept, wipes>>

(* A message of the leader of a term, sent at any moment of it: the entries from + 1 to upTo behind the entry before. It may come late, twice, in any order, or never. Where terms match nothing is cut. *)
Receive(n, t, from, upTo) ==
    LET theirs == led[t]
        mine == log[n]
        differs == \E i \in (from + 1)..upTo : i <= Len(mine) /\ mine[i].term # theirs[i].term
        cuts == differs \/ Broken = "cuts-where-terms-match"
        last == IF cuts THEN upTo ELSE Max(upTo, Len(mine))
        entries == [i \in 1..last |-> IF i > from /\ i <= upTo THEN theirs[i] ELSE mine[i]]
    IN
    /\ role[n] # "empty"
    /\ winners[t] # {}
    /\ t >= term[n]
    /\ n \notin winners[t]
    /\ upTo <= Len(theirs)
    /\ from <= Len(mine)
    /\ from > 0 => mine[from].term = theirs[from].term
    /\ Follow(n, t)
    /\ vote' = [vote EXCEPT ![n] = IF term[n] = t THEN vote[n] ELSE Nobody]
    /\ log' = [log EXCEPT ![n] = entries]
    /\ sure' = [sure EXCEPT ![n] = IF term[n] = t THEN Max(sure[n], upTo) ELSE upTo]
    /\ commit' = [commit EXCEPT ![n] = Max(commit[n], Min(told[t], upTo))]
    /\ UNCHANGED <<disk, asked, led, told, winners, kept, wipes>>

Sync(n) ==
    /\ disk[n] # log[n]
    /\ disk' = [disk EXCEPT ![n] = log[n]]
    /\ UNCHANGED <<term, vote, log, role, votes, commit, acked, sure, asked, led, told, winners, kept, wipes>>

(* The reply to a message, once what it brought is on disk. *)
Acknowledge(n, leader) ==
    LET upTo == IF Broken = "acknowledges-before-the-sync" THEN sure[n] ELSE Min(sure[n], Durable(n))
    IN
    /\ n # leader
    /\ role[n] = "follower"
    /\ role[leader] = "leader"
    /\ term[n] = term[leader]
    /\ upTo > acked[leader][n]
    /\ acked' = [acked EXCEPT ![leader][n] = upTo]
    /\ UNCHANGED <<term, vote, log, disk, role, votes, commit, sure, asked, led, told, winners, kept, wipes>>

(* The leader's own log counts as any other's: when it is on disk. *)
Holds(leader, n) == IF n # leader THEN acked[leader][n] ELSE IF Broken = "counts-its-own-log-before-the-sync" THEN Len(log[n]) ELSE Durable(n)

IsHeld(leader, index) ==
    IF Broken = "commits-by-the-median-of-replies"
    THEN \E replies \in SUBSET Nodes :
            /\ IsMajority(replies, Nodes)
            /\ leader \in replies
            /\ IsMajority({n \in replies : Holds(leader, n) >= index}, replies)
    ELSE IsMajority({n \in Nodes : Holds(leader, n) >= index}, Nodes)

(* Clients are answered as soon as the leader has applied, which is behind this. *)
Commit(leader, index) ==
    /\ role[leader] = "leader"
    /\ index > commit[leader]
    /\ log[leader][index].term = term[leader] \/ Broken = "commits-an-entry-of-an-older-term"
    /\ IsHeld(leader, index)
    /\ commit' = [commit EXCEPT ![leader] = index]
    /\ told' = [told EXCEPT ![term[leader]] = Max(told[term[leader]], index)]
    /\ kept' = IF index > Len(kept) THEN Prefix(log[leader], index) ELSE kept
    /\ UNCHANGED <<term, vote, log, disk, role, votes, acked, sure, asked, led, winners, wipes>>

------------------------------------------------------------------------------
(* Snapshots and failures. *)

(* A member whose next entry the leader has cut fetches its state instead, which is synced before it counts. What the member has behind it stays only if it continues that state. *)
Install(n, leader) ==
    LET index == commit[leader]
        state == Prefix(log[leader], index)
        continues == index <= Len(log[n]) /\ log[n][index].term = state[index].term
        staysBehind == continues \/ Broken = "keeps-a-stale-tail-under-a-snapshot"
        tail == IF staysBehind THEN SubSeq(log[n], index + 1, Len(log[n])) ELSE <<>>
    IN
    /\ n # leader
    /\ role[n] # "empty"
    /\ role[leader] = "leader"
    /\ term[leader] >= term[n]
    /\ index > commit[n]
    /\ Follow(n, term[leader])
    /\ vote' = [vote EXCEPT ![n] = IF term[n] = term[leader] THEN vote[n] ELSE Nobody]
    /\ log' = [log EXCEPT ![n] = state \o tail]
    /\ disk' = [disk EXCEPT ![n] = state \o tail]
    /\ sure' = [sure EXCEPT ![n] = IF term[n] = term[leader] THEN Max(sure[n], index) ELSE index]
    /\ commit' = [commit EXCEPT ![n] = index]
    /\ UNCHANGED <<asked, led, told, winners, kept, wipes>>

(* The process dies or the machine loses power, and is back; one that stays away does nothing. *)
Crash(n) ==
    /\ role[n] # "empty"
    /\ log' = [log EXCEPT ![n] = disk[n]]
    /\ role' = [role EXCEPT ![n] = "follower"]
    /\ votes' = [votes EXCEPT ![n] = {}]
    /\ vote' = [vote EXCEPT ![n] = IF Broken = "forgets-its-vote" THEN Nobody ELSE vote[n]]
    /\ commit' = [commit EXCEPT ![n] = 0]
    /\ acked' = [acked EXCEPT ![n] = NoAcks]
    /\ sure' = [sure EXCEPT ![n] = 0]
    /\ UNCHANGED <<term, disk, asked, led, told, winners, kept, wipes>>

(* Its disk is lost with everything in it. *)
Wipe(n) ==
    /\ wipes < MaxWipes
    /\ wipes' = wipes + 1
    /\ term' = [term EXCEPT ![n] = 0]
    /\ vote' = [vote EXCEPT ![n] = Nobody]
    /\ log' = [log EXCEPT ![n] = <<>>]
    /\ disk' = [disk EXCEPT ![n] = <<>>]
    /\ role' = [role EXCEPT ![n] = IF Broken = "votes-without-its-disk" THEN "follower" ELSE "empty"]
    /\ votes' = [votes EXCEPT ![n] = {}]
    /\ commit' = [commit EXCEPT ![n] = 0]
    /\ acked' = [acked EXCEPT ![n] = NoAcks]
    /\ sure' = [sure EXCEPT ![n] = 0]
    /\ asked' = [asked EXCEPT ![n] = 0]
    /\ UNCHANGED <<led, told, winners, kept>>

(* It asks the others for their terms. All must answer, for one that does not may be a candidate that has the vote of the former disk; the answer of one that has lost its disk, too, says only that it is none. *)
AskTerms(n, others) ==
    LET known == {m \in others : role[m] # "empty"}
    IN
    /\ role[n] = "empty"
    /\ asked[n] = 0
    /\ others = Nodes \ {n} \/ Broken = "asks-a-majority-of-the-others"
    /\ IsMajority(known, Nodes \ {n})
    /\ asked' = [asked EXCEPT ![n] = 1 + (CHOOSE t \in 0..MaxTerm : (\E m \in known : term[m] = t) /\ (\A m \in known : term[m] <= t))]
    /\ UNCHANGED <<term, vote, log, disk, role, votes, commit, acked, sure, led, told, winners, kept, wipes>>

(* It takes the state of a leader whose term is not below that, up to a barrier: a round that a majority followed, without this node, and everything committed before. What this node acknowledged with
   its former disk was of an earlier round, and counts no more. *)
ComeBack(n, leader) ==
    LET state == Prefix(log[leader], commit[leader])
        followers == {m \in Nodes \ {n} : role[m] # "empty" /\ term[m] = term[leader]}
    IN
    /\ role[n] = "empty"
    /\ asked[n] > 0 \/ Broken = "comes-back-without-asking-for-terms"
    /\ role[leader] = "leader"
    /\ term[leader] + 1 >= asked[n]
    /\ IsMajority(followers, Nodes)
    /\ commit[leader] > 0 /\ log[leader][commit[leader]].term = term[leader]
    /\ term' = [term EXCEPT ![n] = term[leader]]
    /\ vote' = [vote EXCEPT ![n] = leader]
    /\ log' = [log EXCEPT ![n] = state]
    /\ disk' = [disk EXCEPT ![n] = state]
    /\ role' = [role EXCEPT ![n] = "follower"]
    /\ commit' = [commit EXCEPT ![n] = commit[leader]]
    /\ sure' = [sure EXCEPT ![n] = commit[leader]]
    /\ asked' = [asked EXCEPT ![n] = 0]
    /\ acked' = IF Broken = "counts-what-a-lost-disk-acknowledged" THEN acked ELSE [acked EXCEPT ![leader][n] = 0]
    /\ UNCHANGED <<votes, led, told, winners, kept, wipes>>

------------------------------------------------------------------------------
Empty == {n \in Nodes : role[n] = "empty"}
Leaders == {n \in Nodes : role[n] = "leader"}

Next ==
    \/ \E n \in Nodes \ Empty : Stand(n) \/ Win(n) \/ Sync(n) \/ Crash(n)
    \/ \E n \in Nodes : Wipe(n)
    \/ \E n \in Nodes \ Empty, m \in Nodes : Vote(m, n) \/ HearTerm(n, m)
    \/ \E t \in {u \in Terms : winners[u] # {}} : \E n \in Nodes \ Empty : \E from \in 0..Min(Len(led[t]), Len(log[n])) : \E upTo \in from..Len(led[t]) : Receive(n, t, from, upTo)
    \/ \E leader \in Leaders :
        \/ Propose(leader)
        \/ \E n \in Nodes : Acknowledge(n, leader) \/ Install(n, leader) \/ LingerOn(leader, n)
        \/ \E n \in Empty : ComeBack(n, leader)
        \/ \E index \in (commit[leader] + 1)..Len(log[leader]) : Commit(leader, index)
    \/ \E n \in Empty : \E others \in SUBSET (Nodes \ {n}) : AskTerms(n, others)

Spec == Init /\ [][Next]_vars

------------------------------------------------------------------------------
ElectionSafety == \A t \in Terms : Cardinality(winners[t]) <= 1

Logs == {log[n] : n \in Nodes} \union {led[t] : t \in Terms}

LogMatching ==
    \A a, b \in Logs : \A i \in 1..Min(Len(a), Len(b)) : a[i].term = b[i].term => Agree(a, b, i)

(* The leader of the latest term has everything that was acknowledged. *)
LeaderCompleteness ==
    \A n \in Nodes : (role[n] = "leader" /\ \A t \in Terms : winners[t] # {} => t <= term[n]) => IsPrefix(kept, log[n])

(* G1: no two nodes apply different entries at one index, and what a client was told stays. *)
StateMachineSafety ==
    \A n \in Nodes : commit[n] <= Len(log[n]) /\ Agree(log[n], kept, Min(commit[n], Len(kept))) /\ commit[n] <= Len(kept)

TypeOK ==
    /\ \A n \in Nodes : term[n] \in 0..MaxTerm /\ vote[n] \in {Nobody} \union Nodes /\ role[n] \in {"follower", "candidate", "leader", "empty"}
    /\ \A n \in Nodes : Len(log[n]) <= MaxLog /\ Len(disk[n]) <= MaxLog /\ sure[n] <= Len(log[n])
    /\ Len(kept) <= MaxLog
=============================================================================
