--------------------------- MODULE TableLifecycle ---------------------------
(* Tables that are made, deleted and made again under one name, at the leader site and at a follower site whose configuration may come to point to another leader site. What is in a table is not looked at, only whose it is.
   tla/README.md says what each action is in the code, and what is left out. *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Nodes,      \* of the follower site
    MaxRecords, \* no catalogue is longer
    MaxMoves,   \* so often the follower site is pointed to another leader site
    Broken      \* what is done wrong; "nothing" is the system

VARIABLES
    catalogue, \* leader site -> its catalogue, records [kind, life] of the one name. A life's number is the revision of the record that made it
    points,    \* the leader site that the follower site's configuration names
    moves,     \* how often that has changed
    copy,      \* the follower site's own catalogue
    known,     \* node -> how much of that it has applied
    has,       \* node -> the lives of which it has a table
    whose,     \* node -> the [life, site, theirs] of which data was put into a table: the table's life, and the site and the life that the data is of
    gone       \* node -> the lives of which it has deleted the data

vars == <<catalogue, points, moves, copy, known, has, whose, gone>>

Leaders == {1, 2}
Ours == 1 \* the leader site whose history the follower site took at its first start

Prefix(records, length) == SubSeq(records, 1, length)
Made(records) == {records[i].life : i \in {j \in 1..Len(records) : records[j].kind = "made"}}
Deleted(records) == {records[i].life : i \in {j \in 1..Len(records) : records[j].kind = "deleted"}}
Alive(records) == Made(records) \ Deleted(records)

Init ==
    /\ catalogue = [l \in Leaders |-> <<>>]
    /\ points = Ours
    /\ moves = 0
    /\ copy = <<>>
    /\ known = [n \in Nodes |-> 0]
    /\ has = [n \in Nodes |-> {}]
    /\ whose = [n \in Nodes |-> {}]
    /\ gone = [n \in Nodes |-> {}]

(* A leader site. *)
Create(l) ==
    /\ Len(catalogue[l]) < MaxRecords
    /\ Alive(catalogue[l]) = {}
    /\ catalogue' = [catalogue EXCEPT ![l] = Append(catalogue[l], [kind |-> "made", life |-> IF Broken = "uses-a-number-again" THEN 1 ELSE Len(catalogue[l]) + 1])]
    /\ UNCHANGED <<points, moves, copy, known, has, whose, gone>>

Delete(l, life) ==
    /\ Len(catalogue[l]) < MaxRecords
    /\ life \in Alive(catalogue[l])
    /\ catalogue' = [catalogue EXCEPT ![l] = Append(catalogue[l], [kind |-> "deleted", life |-> life])]
    /\ UNCHANGED <<points, moves, copy, known, has, whose, gone>>

(* The follower site. *)
Point(l) ==
    /\ l # points
    /\ moves < MaxMoves
    /\ moves' = moves + 1
    /\ points' = l
    /\ UNCHANGED <<catalogue, copy, known, has, whose, gone>>

IsOurHistory == points = Ours \/ Broken = "ignores-the-history"

(* The catalogue is replicated as a table is, record by record. *)
PullCatalogue ==
    /\ IsOurHistory
    /\ Len(copy) < Len(catalogue[points])
    /\ copy' = Append(copy, catalogue[points][Len(copy) + 1])
    /\ UNCHANGED <<catalogue, points, moves, known, has, whose, gone>>

Learn(n) ==
    /\ known[n] < Len(copy)
    /\ known' = [known EXCEPT ![n] = known[n] + 1]
    /\ UNCHANGED <<catalogue, points, moves, copy, has, whose, gone>>

Start(n, life) ==
    /\ life \in Alive(Prefix(copy, known[n])) \ has[n]
    /\ has' = [has EXCEPT ![n] = has[n] \union {life}]
    /\ UNCHANGED <<catalogue, points, moves, copy, known, whose, gone>>

(* Data goes with the tombstone of that very life, and with nothing else. *)
Drop(n, life) ==
    /\ life \in has[n]
    /\ \/ life \in Deleted(Prefix(copy, known[n]))
       \/ Broken = "deletes-what-is-not-listed" /\ \E seen \in 0..Len(catalogue[points]) : life \notin Alive(Prefix(catalogue[points], seen))
    /\ has' = [has EXCEPT ![n] = has[n] \ {life}]
    /\ whose' = [whose EXCEPT ![n] = {d \in whose[n] : d.life # life}]
    /\ gone' = [gone EXCEPT ![n] = gone[n] \union {life}]
    /\ UNCHANGED <<catalogue, points, moves, copy, known>>

(* A request names history and life, and so does each answer. *)
Pull(n, life, theirs) ==
    /\ life \in has[n]
    /\ theirs \in Alive(catalogue[points])
    /\ IsOurHistory
    /\ theirs = life \/ Broken = "goes-by-the-name"
    /\ whose' = [whose EXCEPT ![n] = whose[n] \union {[life |-> life, site |-> points, theirs |-> theirs]}]
    /\ UNCHANGED <<catalogue, points, moves, copy, known, has, gone>>

Next ==
    \/ PullCatalogue
    \/ \E l \in Leaders : Create(l) \/ Point(l) \/ \E life \in 1..MaxRecords : Delete(l, life)
    \/ \E n \in Nodes : Learn(n)
    \/ \E n \in Nodes, life \in 1..MaxRecords : Start(n, life) \/ Drop(n, life) \/ \E theirs \in 1..MaxRecords : Pull(n, life, theirs)

Spec == Init /\ [][Next]_vars

------------------------------------------------------------------------------
TypeOK ==
    /\ \A n \in Nodes : known[n] \in 0..Len(copy)
    /\ \A n \in Nodes : has[n] \subseteq 1..MaxRecords

(* G7: what is in a table is of its own life. *)
OneLife == \A n \in Nodes : \A d \in whose[n] : d.site = Ours /\ d.theirs = d.life

(* Only what was deleted at its own leader site is ever deleted. *)
DeletedByOrder == \A n \in Nodes : gone[n] \subseteq Deleted(catalogue[Ours])

(* No two tables have one number, so a record speaks of one life only. *)
NumbersAreNew ==
    \A l \in Leaders : \A i, j \in 1..Len(catalogue[l]) :
        (i # j /\ catalogue[l][i].kind = "made" /\ catalogue[l][j].kind = "made") => catalogue[l][i].life # catalogue[l][j].life

(* The follower site's catalogue is its leader site's, up to some revision. *)
CatalogueIsOurs == Len(copy) <= Len(catalogue[Ours]) /\ copy = Prefix(catalogue[Ours], Len(copy))
=============================================================================
