/// What the checker of traces knows of a group and of its nodes' log databases. Logs are not lists here: as long as all goes by the rules, one is known by its last entry, and what a term's leader proposed follows what its
/// log was when it won.
module internal Regatta.Spec.TracedGroup

open System.Collections.Generic
open Regatta.Spec.RaftTrace

let nothing = { Index = 0L; Term = 0L }
let blank = { Term = 0L; Vote = 0L; Cut = nothing; Log = nothing }

/// A term in which a node won: what its log was then, and where it ends now.
type Leadership = { Leader: int64; Base: End; mutable Last: int64 }

/// What a lost disk may have promised: that it has what was committed; and votes, of which whoever has got one knows the term. Without those whose disks were lost since.
type Promised = { Least: int64; Terms: Map<int64, int64> }

/// A group on a node.
type Member() =
    member val Now = blank with get, set
    member val OnDisk = blank with get, set
    member val Commit = 0L with get, set
    member val Applied = 0L with get, set
    /// The term in which it leads; 0: none.
    member val Leads = 0L with get, set
    /// Its disk was lost, and it must not come back with less.
    member val Owes: Promised option = None with get, set

type Group() =
    member val Members = Dictionary<int64, Member>()
    member val Terms = Dictionary<int64, Leadership>()
    member val Sums = Dictionary<struct (int64 * int64), uint64>()
    /// By candidate and term: its log when it stood.
    member val Stood = Dictionary<struct (int64 * int64), End>()
    /// By candidate and term: whose votes are on disk.
    member val Votes = Dictionary<struct (int64 * int64), Set<int64>>()
    /// By member and term: up to where it has said to have the leader's log, and up to where the leader knows.
    member val Matched = Dictionary<struct (int64 * int64), int64>()
    member val Counted = Dictionary<struct (int64 * int64), int64>()
    /// By node and term that it has left: up to where its log was that leader's then.
    member val Left = Dictionary<struct (int64 * int64), int64>()
    /// By node and term: whom it has voted for, on whichever disk.
    member val VotedFor = Dictionary<struct (int64 * int64), int64>()
    member val Shown = Dictionary<int64, Shown>()
    /// What is committed.
    member val Kept = nothing with get, set

    member group.Member node =
        match group.Members.TryGetValue node with
        | true, known -> known
        | _ ->
            let fresh = Member()
            group.Members[node] <- fresh
            fresh

    /// The term of an entry of a log; None: the log does not go that far.
    member group.TermAt (log: End) index =
        let rec back term =
            let before = group.Terms[term].Base
            if index > before.Index then term else back before.Term

        if index > log.Index || index < 0L then None
        elif index = 0L then Some 0L
        else Some(back log.Term)

    member group.Agree (one: End) (other: End) index =
        index <= one.Index && index <= other.Index && group.TermAt one index = group.TermAt other index

    member group.LogOf term =
        match group.Terms.TryGetValue term with
        | true, won when won.Last > won.Base.Index -> Some { Index = won.Last; Term = term }
        | true, won -> Some won.Base
        | _ -> None

    /// Up to where two logs are the same.
    member group.Common (one: End) (other: End) =
        let rec down index = if group.TermAt one index = group.TermAt other index then index else down (index - 1L)
        down (min one.Index other.Index)

    member group.Prefix (log: End) index = { Index = index; Term = group.TermAt log index |> Option.defaultValue 0L }
    member group.IsCommitted(at: End) = group.TermAt group.Kept at.Index = Some at.Term

/// One node's log database, through all of its lives.
type Database() =
    member val Members = 0L with get, set
    member val Number = 0L with get, set
    member val Synced = 0L with get, set
    member val Taken = 0L with get, set
    member val Queued = List<struct (int64 * Kept)>() with get, set
    member val Rounds = Queue<struct (int64 * List<struct (int64 * Kept)>)>()
