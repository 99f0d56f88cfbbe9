/// What nodes would have written down that go the way of a path through TableRaft's states.
module Regatta.Spec.Tests.ToldTraces

open Regatta.Spec
open Regatta.Spec.TableRaft
open Regatta.Spec.RaftTrace

let private group = 7L

/// A node as its trace tells of it, beside its state.
type private Teller = { Number: int64; Round: int64; Cut: End }

type private Told = { Tellers: Map<int, Teller>; Events: Event list }

let private termAt index (log: Entry list) = if index = 0 then 0L else int64 log[index - 1].Term
let private endOf (log: Entry list) = { Index = int64 log.Length; Term = termAt log.Length log }
let private common (a: Entry list) (b: Entry list) = Seq.zip a b |> Seq.takeWhile (fun (x, y) -> x = y) |> Seq.length

let private tell id act told =
    let teller = told.Tellers[id]

    let number =
        match act with
        | Began _ -> 1L
        | _ -> teller.Number + 1L

    let event = { Time = 0L; Node = int64 id; Number = number; Act = act }

    { Tellers = Map.add id { teller with Number = number } told.Tellers
      Events = event :: told.Events }

let private tellAll id acts told = List.fold (fun told act -> tell id act told) told acts

/// All that is queued is on disk.
let private sync id told =
    let round = told.Tellers[id].Round + 1L
    let told = { told with Tellers = Map.add id { told.Tellers[id] with Round = round } told.Tellers }
    told |> tellAll id [ Taken round; Synced round ]

let private hard (node: Node) (cut: End) = Hard(int64 node.Term, int64 node.Vote, cut.Index, cut.Term)
let private writes id steps told = if List.isEmpty steps then told else tell id (Wrote(group, steps)) told

/// From one log to the other.
let private changes (before: Entry list) (after: Entry list) =
    let same = common before after

    [ if same < before.Length then Delete(int64 same + 1L, int64 before.Length)
      for index in same + 1 .. after.Length do
          Put(int64 index, termAt index after, uint64 after[index - 1].By) ]

let private opened (node: Node) (cut: End) =
    Opened(group, { Term = int64 node.Term; Vote = int64 node.Vote; Cut = cut; Log = endOf node.Log }, cut.Index)

let private installed id (before: Entry list) (node: Node) told =
    let cut = { Index = int64 node.Commit; Term = termAt node.Commit node.Log }
    let told = { told with Tellers = Map.add id { told.Tellers[id] with Cut = cut } told.Tellers }
    let deleted = if node.Log.Length > node.Commit then node.Commit else max before.Length node.Commit
    told |> writes id [ Delete(1L, int64 deleted); hard node cut ] |> sync id

let private isHard (n: Node) (m: Node) = (n.Term, n.Vote) <> (m.Term, m.Vote)

/// What a node does of its own.
let private ofNode members isWiped (before: Node) (after: Node) id told =
    let isCrash =
        after.Sure = 0
        && not (isHard before after)
        && after.Role = Follower
        && (after.Commit < before.Commit || after.Log <> before.Log || before.Role = Leader)

    if isWiped then
        let told =
            { told with
                Tellers = Map.add id { told.Tellers[id] with Round = 0L; Cut = { Index = 0L; Term = 0L } } told.Tellers }

        let told = told |> tell id (Began(members, 0L))
        if after.Role = Empty then told else told |> tell id (opened after { Index = 0L; Term = 0L })
    elif before.Role = Empty then
        if after.Role = Empty then
            told
        else
            told |> writes id [ hard after { Index = 0L; Term = 0L } ] |> sync id |> installed id [] after
    elif isCrash then
        told |> tellAll id [ Began(members, told.Tellers[id].Round); opened after told.Tellers[id].Cut ]
    else
        let told = if isHard before after then told |> writes id [ hard after told.Tellers[id].Cut ] |> sync id else told

        let told = if before.Role = Candidate && after.Role = Leader then told |> tell id (Won(group, int64 after.Term)) else told

        if after.Disk <> before.Disk && after.Commit > before.Commit then
            told |> installed id before.Log after
        else
            let told = told |> writes id (changes before.Log after.Log)
            let told = if after.Disk <> before.Disk then sync id told else told
            if after.Commit > before.Commit then told |> tell id (Committed(group, int64 after.Commit)) else told

let private ofLeader (before: Node) (after: Node) id told =
    List.zip before.Acked after.Acked
    |> List.indexed
    |> List.fold
        (fun told (at, (known, heard)) ->
            if after.Role = Leader && heard > known then
                let by, term = at + 1, int64 after.Term
                told |> tell by (Matched(group, term, int64 heard)) |> tell id (Counted(group, term, int64 by, int64 heard))
            else
                told)
        told

let private step members (told: Told) (before: State, after: State) =
    let nodes = List.zip before.Nodes after.Nodes |> List.indexed |> List.map (fun (at, pair) -> at + 1, pair)
    // Members speak before their leader counts, voters before their candidate wins.
    let changed = nodes |> List.filter (fun (_, (n, m)) -> n <> m)
    let isWiped (n: Node, m: Node) = after.Wipes > before.Wipes && n <> m

    let told = changed |> List.fold (fun told (id, (n, m)) -> ofNode members (isWiped (n, m)) n m id told) told

    changed |> List.fold (fun told (id, (n, m)) -> ofLeader n m id told) told

/// Everybody's first life, and the leader that some models begin with.
let private beginning (first: State) =
    let members = int64 first.Nodes.Length
    let ids = [ 1 .. first.Nodes.Length ]

    let start =
        { Tellers = Map [ for id in ids -> id, { Number = 0L; Round = 0L; Cut = { Index = 0L; Term = 0L } } ]
          Events = [] }

    let blank = { first.Nodes.Head with Term = 0; Vote = 0 }

    let told =
        ids
        |> List.fold (fun told id -> told |> tellAll id [ Began(members, 0L); opened blank { Index = 0L; Term = 0L } ]) start

    let leaders = ids |> List.filter (fun id -> first.Nodes[id - 1].Role = Leader)
    // Who stands is the first to vote.
    let voters = leaders @ List.except leaders ids |> List.filter (fun id -> first.Nodes[id - 1].Term > 0)
    let vote told id = told |> writes id [ hard first.Nodes[id - 1] { Index = 0L; Term = 0L } ] |> sync id
    let told = List.fold vote told voters
    leaders |> List.fold (fun told id -> told |> tell id (Won(group, int64 first.Nodes[id - 1].Term))) told

let tellOf (path: State list) =
    let told = List.fold (step (int64 path.Head.Nodes.Length)) (beginning path.Head) (List.pairwise path)
    List.rev told.Events

/// The code writes term and vote behind what it has written of the log, so that both are on disk afterwards; in TableRaft term and vote may be there alone.
let isOfTheCode (before: State, after: State) =
    List.zip before.Nodes after.Nodes |> List.forall (fun (n, m) -> not (isHard n m) || n.Disk = n.Log)
