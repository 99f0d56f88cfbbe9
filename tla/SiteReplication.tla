--------------------------- MODULE SiteReplication ---------------------------
(* One table between a leader site and one follower site: changelog, pulling, whole states, and a leader site that is put back to an older state. The group of either site is what TableRaft makes of it:
   one history at the leader site, one log of entries at the follower site that each of its nodes applies in order. tla/README.md says what each action is in the code, and what is left out. *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Nodes,       \* of the follower site, numbers from 1 on
    MaxRevision, \* no history is longer
    MaxForks,    \* so often the leader site is put back
    MaxEntries,  \* no log is longer
    MaxOrders,   \* so often an operator orders a table to be adopted
    MaxMoves,    \* so often another node of the follower site begins to pull
    Broken       \* what is done wrong; "nothing" is the system

VARIABLES
    history,  \* the leader site's changes, by revision; a change is the fork in which it was written: two histories differ from where they were written apart
    forks,    \* how often the leader site was put back
    pasts,    \* the histories that it had when it was
    oldest,   \* the first revision in its changelog
    entries,  \* the log of the follower site's group
    applied,  \* node -> how many of them it has applied
    data,     \* node -> the changes that are in its table
    revision, \* node -> the revision that it shows
    puller,   \* the node that leads the group
    stream,   \* the revision that the puller's stream brings next, 0: there is none
    inbox,    \* what came by it and is not proposed yet: [from, changes]
    mine,     \* the index of the entry that the puller waits for, 0: none
    staged,   \* a whole state that the follower site's nodes have as files, <<>>: none
    ordered,  \* the revision at which the table may be exchanged for what the leader site has, 0: it may not
    orders,   \* how often that was ordered
    moves     \* how often the puller has changed

vars == <<history, forks, pasts, oldest, entries, applied, data, revision, puller, stream, inbox, mine, staged, ordered, orders, moves>>

Prefix(changes, length) == SubSeq(changes, 1, length)
IsPrefix(a, b) == Len(a) <= Len(b) /\ Prefix(b, Len(a)) = a
Nothing == [from |-> 0, changes |-> <<>>]

Init ==
    /\ history = <<>>
    /\ forks = 0
    /\ pasts = {}
    /\ oldest = 1
    /\ entries = <<>>
    /\ applied = [n \in Nodes |-> 0]
    /\ data = [n \in Nodes |-> <<>>]
    /\ revision = [n \in Nodes |-> 0]
    /\ puller \in Nodes
    /\ stream = 0
    /\ inbox = Nothing
    /\ mine = 0
    /\ staged = <<>>
    /\ ordered = 0
    /\ orders = 0
    /\ moves = 0

------------------------------------------------------------------------------
(* The leader site. *)

Write ==
    /\ Len(history) < MaxRevision
    /\ history' = Append(history, forks)
    /\ UNCHANGED <<forks, pasts, oldest, entries, applied, data, revision, puller, stream, inbox, mine, staged, ordered, orders, moves>>

(* The changelog may be cut up to the present revision, whoever still needs it. *)
Trim ==
    /\ oldest <= Len(history)
    /\ oldest' = oldest + 1
    /\ UNCHANGED <<history, forks, pasts, entries, applied, data, revision, puller, stream, inbox, mine, staged, ordered, orders, moves>>

(* A backup takes the place of what it has; its streams break. *)
PutBack(length) ==
    /\ forks < MaxForks
    /\ length < Len(history)
    /\ forks' = forks + 1
    /\ pasts' = pasts \union {history}
    /\ history' = Prefix(history, length)
    /\ oldest' = IF oldest > length + 1 THEN length + 1 ELSE oldest
    /\ stream' = 0
    /\ UNCHANGED <<entries, applied, data, revision, puller, inbox, mine, staged, ordered, orders, moves>>

------------------------------------------------------------------------------
(* The puller. *)

(* The chain hash of a revision is known as long as the revision, or the one behind it, is in the changelog. *)
HasChain(at) == at >= oldest - 1 /\ at <= Len(history)
HasSameChain(at) == Prefix(data[puller], at) = Prefix(history, at) \/ Broken = "ignores-the-chain-hash"

(* What is in the log and not applied yet may still change the table: the code waits for it at a barrier, which spares batches that would be skipped, and is safe without. *)
Open ==
    /\ stream = 0
    /\ inbox = Nothing
    /\ mine = 0
    /\ HasChain(revision[puller])
    /\ HasSameChain(revision[puller])
    /\ stream' = revision[puller] + 1
    /\ ordered' = 0
    /\ UNCHANGED <<history, forks, pasts, oldest, entries, applied, data, revision, puller, inbox, mine, staged, orders, moves>>

(* It may break at any moment, also because the changelog was cut where it is. What came by it still goes its way, and the next one opens behind that. *)
Break ==
    /\ stream > 0
    /\ stream' = 0
    /\ UNCHANGED <<history, forks, pasts, oldest, entries, applied, data, revision, puller, inbox, mine, staged, ordered, orders, moves>>

(* Nobody can tell what became of the batch on its way: it may apply later, or never. *)
GiveUp ==
    /\ mine > 0
    /\ stream' = 0
    /\ inbox' = Nothing
    /\ mine' = 0
    /\ UNCHANGED <<history, forks, pasts, oldest, entries, applied, data, revision, puller, staged, ordered, orders, moves>>

Bring(upTo) ==
    /\ stream > 0
    /\ inbox = Nothing
    /\ stream >= oldest
    /\ upTo >= stream
    /\ inbox' = [from |-> stream, changes |-> SubSeq(history, stream, upTo)]
    /\ stream' = upTo + 1
    /\ UNCHANGED <<history, forks, pasts, oldest, entries, applied, data, revision, puller, mine, staged, ordered, orders, moves>>

(* One batch at a time: the next one when this one is applied here. One that was skipped ends the stream. *)
Propose ==
    /\ inbox # Nothing
    /\ Len(entries) < MaxEntries
    /\ mine = 0 \/ Broken = "does-not-wait-for-its-batch"
    /\ entries' = Append(entries, [kind |-> "changes", from |-> inbox.from, changes |-> inbox.changes])
    /\ inbox' = Nothing
    /\ mine' = Len(entries) + 1
    /\ UNCHANGED <<history, forks, pasts, oldest, applied, data, revision, puller, stream, staged, ordered, orders, moves>>

(* The group elects another leader. What the former one had received is gone with it; what it had proposed is in the log, or will never be. *)
MovePuller(n) ==
    /\ n # puller
    /\ moves < MaxMoves
    /\ moves' = moves + 1
    /\ puller' = n
    /\ stream' = 0
    /\ inbox' = Nothing
    /\ mine' = 0
    /\ ordered' = 0
    /\ UNCHANGED <<history, forks, pasts, oldest, entries, applied, data, revision, staged, orders>>

(* The next revision has left the changelog, or the history is another one and its exchange was ordered: the whole state is fetched, by a majority of the nodes, and stays until one is installed. *)
Stage ==
    /\ Broken # "has-no-whole-states"
    /\ stream = 0 /\ inbox = Nothing /\ mine = 0
    /\ staged = <<>>
    /\ Len(history) > revision[puller]
    /\ revision[puller] + 1 < oldest \/ (ordered > 0 /\ ordered = revision[puller])
    /\ staged' = history
    /\ UNCHANGED <<history, forks, pasts, oldest, entries, applied, data, revision, puller, stream, inbox, mine, ordered, orders, moves>>

Install ==
    /\ stream = 0 /\ inbox = Nothing /\ mine = 0
    /\ staged # <<>>
    /\ Len(entries) < MaxEntries
    /\ entries' = Append(entries, [kind |-> "state", from |-> Len(staged), changes |-> staged])
    /\ mine' = Len(entries) + 1
    /\ staged' = <<>>
    /\ ordered' = 0
    /\ UNCHANGED <<history, forks, pasts, oldest, applied, data, revision, puller, stream, inbox, orders, moves>>

(* An operator's order holds for the revision that the table has. *)
Adopt ==
    /\ orders < MaxOrders
    /\ stream = 0
    /\ revision[puller] > 0
    /\ HasChain(revision[puller]) /\ ~HasSameChain(revision[puller])
    /\ orders' = orders + 1
    /\ ordered' = revision[puller]
    /\ UNCHANGED <<history, forks, pasts, oldest, entries, applied, data, revision, puller, stream, inbox, mine, staged, moves>>

------------------------------------------------------------------------------
(* Each node of the follower site. *)

(* A batch applies at the revision where it begins and is skipped elsewhere; a state applies where the table is behind it. Data and revision go together; a crash leaves those of an earlier moment, from where the
   log is applied again, which is no other behaviour than being slow. *)
Apply(n) ==
    LET entry == entries[applied[n] + 1]
        fits == entry.from = revision[n] + 1 \/ Broken = "applies-without-the-revision-check"
        counts == IF Broken = "shares-a-revision-inside-a-batch" THEN 1 ELSE Len(entry.changes)
    IN
    /\ applied[n] < Len(entries)
    /\ applied' = [applied EXCEPT ![n] = applied[n] + 1]
    /\ IF entry.kind = "changes" /\ fits THEN
            /\ data' = [data EXCEPT ![n] = data[n] \o entry.changes]
            /\ revision' = [revision EXCEPT ![n] = revision[n] + counts]
       ELSE IF entry.kind = "state" /\ entry.from > revision[n] THEN
            /\ data' = [data EXCEPT ![n] = IF Broken = "swap-is-not-atomic" THEN data[n] ELSE entry.changes]
            /\ revision' = [revision EXCEPT ![n] = entry.from]
       ELSE UNCHANGED <<data, revision>>
    /\ IF n = puller /\ mine = applied[n] + 1 THEN
            /\ mine' = 0
            /\ IF fits \/ Broken = "goes-on-behind-a-skipped-batch" THEN UNCHANGED <<stream, inbox>> ELSE stream' = 0 /\ inbox' = Nothing
       ELSE UNCHANGED <<stream, inbox, mine>>
    /\ UNCHANGED <<history, forks, pasts, oldest, entries, puller, staged, ordered, orders, moves>>

------------------------------------------------------------------------------
Next ==
    \/ Write \/ Trim \/ Open \/ Break \/ GiveUp \/ Propose \/ Stage \/ Install \/ Adopt
    \/ \E length \in 0..Len(history) : PutBack(length) \/ Bring(length)
    \/ \E n \in Nodes : MovePuller(n) \/ Apply(n)

Spec == Init /\ [][Next]_vars

------------------------------------------------------------------------------
TypeOK ==
    /\ Len(history) <= MaxRevision
    /\ oldest \in 1..(Len(history) + 1)
    /\ \A n \in Nodes : applied[n] \in 0..Len(entries)

(* G0: each node shows one revision of a history that the leader site has, or had before it was put back, and all of it. *)
Prefix_G0 ==
    \A n \in Nodes :
        /\ Len(data[n]) = revision[n]
        /\ \E whole \in pasts \union {history} : IsPrefix(data[n], whole)

(* Nodes that have applied as much are equal. *)
SameEverywhere == \A n, m \in Nodes : applied[n] = applied[m] => data[n] = data[m] /\ revision[n] = revision[m]
=============================================================================
