/// A group's trace as a sequence of TableRaft's actions, for TLC (tla/TableRaftTrace.tla). In TableRaft term and vote are on disk at once, and a sync takes all that a node has written; so term and vote are told
/// with the round that they are part of, and a round when nothing more can come into it, if it got to the disk. Not told: whole states and lost disks, and what says nothing new.
module Regatta.Spec.TlaTrace

open System.Collections.Generic
open Regatta.Spec.RaftTrace

type private Node() =
    member val Life = 0 with get, set
    /// Written, and as TableRaft has it.
    member val Term = 0L with get, set
    member val Told = struct (0L, 0L) with get, set
    member val Votes = List<struct (int64 * int64)>() with get
    member val HasEntries = false with get, set
    member val Leads = 0L with get, set

/// The rounds that got to the disk, by node, life and number.
let private survivors (events: Event list) =
    let found = HashSet<struct (int64 * int * int64)>()
    let life = Dictionary<int64, int>()
    let taken = HashSet<struct (int64 * int * int64)>()
    let lifeOf node = if life.ContainsKey node then life[node] else 0

    for event in events do
        match event.Act with
        | Began(_, rounds) ->
            for struct (node, at, round) in taken do
                if node = event.Node && at = lifeOf node && round <= rounds then found.Add(struct (node, at, round)) |> ignore

            life[event.Node] <- lifeOf event.Node + 1
        | Taken round -> taken.Add(struct (event.Node, lifeOf event.Node, round)) |> ignore
        | Synced round -> found.Add(struct (event.Node, lifeOf event.Node, round)) |> ignore
        | _ -> ()

    found

type private Teller(survives: HashSet<struct (int64 * int * int64)>) =
    let nodes = Dictionary<int64, Node>()
    let leaders = Dictionary<int64, int64>()
    let actions = List<string>()

    let nodeOf id =
        if not (nodes.ContainsKey id) then nodes[id] <- Node()
        nodes[id]

    let tell (name: string) (numbers: int64 list) =
        let arguments = numbers |> List.map string |> String.concat ", "
        actions.Add $"<<\"{name}\", {arguments}>>"

    let hear id (node: Node) (struct (term, vote)) =
        let struct (known, voted) = node.Told

        if term > known || vote <> voted then
            if vote = id then tell "Stand" [ id ]
            elif vote <> 0L then tell "Vote" [ vote; id ]
            else tell "HearTerm" [ id; term ]

            node.Told <- struct (term, vote)

    let rec write id (node: Node) steps =
        match steps with
        | [] -> ()
        | Hard(term, vote, _, _) :: rest ->
            node.Votes.Add(struct (term, vote))
            node.Term <- term
            if node.Leads < term then node.Leads <- 0L
            write id node rest
        | Delete(_, _) :: Hard _ :: _ -> failwith "A trace for TLC must be without snapshots and cuts."
        | Delete _ :: rest -> write id node rest
        | Put(_, term, _) :: rest when node.Leads = term ->
            node.HasEntries <- true
            tell "Propose" [ id ]
            write id node rest
        | Put(first, _, _) :: _ ->
            node.HasEntries <- true

            let puts =
                steps
                |> List.takeWhile (function
                    | Put _ -> true
                    | _ -> false)

            tell "Receive" [ id; node.Term; first - 1L; first - 1L + int64 puts.Length ]
            write id node (List.skip puts.Length steps)

    let take id (node: Node) round =
        if survives.Contains(struct (id, node.Life, round)) then
            Seq.iter (hear id node) node.Votes
            if node.HasEntries then tell "Sync" [ id ]

        node.Votes.Clear()
        node.HasEntries <- false

    member _.Actions = List.ofSeq actions

    member _.Tell(group: int64, event: Event) =
        let id = event.Node
        let node = nodeOf id

        match event.Act with
        | Began _ ->
            if node.Life > 0 then tell "Crash" [ id ]
            let struct (term, _) = node.Told
            node.Life <- node.Life + 1
            node.Term <- term
            node.Leads <- 0L
            node.Votes.Clear()
            node.HasEntries <- false
        | Wrote(of', steps) when of' = group -> write id node steps
        | Taken round -> take id node round
        | Won(of', term) when of' = group ->
            leaders[term] <- id
            node.Leads <- term
            tell "Win" [ id ]
        | Matched(of', term, index) when of' = group && node.Term = term ->
            tell "Receive" [ id; term; index; index ]
            tell "Acknowledge" [ id; leaders[term]; index ]
        | Committed(of', index) when of' = group && node.Leads > 0L -> tell "Commit" [ id; index ]
        | _ -> ()

/// The module TraceData, and the constants that its model needs.
let toModule (group: int64) (events: Event list) =
    let teller = Teller(survivors events)

    for event in events do
        teller.Tell(group, event)

    let steps =
        events
        |> List.collect (fun event ->
            match event.Act with
            | Wrote(of', steps) when of' = group -> steps
            | _ -> [])

    let greatest choose = steps |> List.choose choose |> List.max

    let term =
        function
        | Hard(term, _, _, _) -> Some term
        | _ -> None

    let index =
        function
        | Put(index, _, _) -> Some index
        | _ -> None

    let actions = teller.Actions |> String.concat ",\n    "
    let text = $"---- MODULE TraceData ----\nTrace == <<\n    {actions}>>\n====\n"

    {| Text = text
       Actions = teller.Actions.Length
       MaxTerm = greatest term
       MaxLog = greatest index |}
