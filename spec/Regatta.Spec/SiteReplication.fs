/// A table at a leader site and a follower site as a transition system: the same as tla/SiteReplication.tla, action for action, written again to be counted against it. The comments are there.
module Regatta.Spec.SiteReplication

open System.Text

/// The fork in which it was written.
type Change = int

type Kind =
    | Changes
    | Whole

type Entry = { Kind: Kind; From: int; Changes: Change list }

type Node = { Applied: int; Data: Change list; Revision: int }

/// Nodes are numbered from 1 on, revisions and indexes too; lists have the first one at 0.
type State =
    { History: Change list
      Forks: int
      Pasts: Set<Change list>
      Oldest: int
      Entries: Entry list
      Nodes: Node list
      Puller: int
      Stream: int
      Inbox: (int * Change list) option
      Mine: int
      Staged: Change list
      Ordered: int
      Orders: int
      Moves: int }

type Bounds =
    { Members: int
      MaxRevision: int
      MaxForks: int
      MaxEntries: int
      MaxOrders: int
      MaxMoves: int }

/// What may be done wrong.
type Fault =
    | Nothing
    | IgnoresTheChainHash
    | SwapIsNotAtomic
    | SharesARevisionInsideABatch
    | AppliesWithoutTheRevisionCheck
    | GoesOnBehindASkippedBatch
    | DoesNotWaitForItsBatch

let private prefix length (changes: Change list) = List.truncate length changes
let private isPrefix (a: Change list) (b: Change list) = a.Length <= b.Length && prefix a.Length b = a

let initial (bounds: Bounds) =
    [ for puller in 1 .. bounds.Members ->
          { History = []
            Forks = 0
            Pasts = Set.empty
            Oldest = 1
            Entries = []
            Nodes = List.replicate bounds.Members { Applied = 0; Data = []; Revision = 0 }
            Puller = puller
            Stream = 0
            Inbox = None
            Mine = 0
            Staged = []
            Ordered = 0
            Orders = 0
            Moves = 0 } ]

let next (bounds: Bounds) (fault: Fault) (state: State) : State seq =
    let pulling = state.Nodes[state.Puller - 1]
    let hasChain = pulling.Revision >= state.Oldest - 1 && pulling.Revision <= state.History.Length

    let hasSameChain =
        prefix pulling.Revision pulling.Data = prefix pulling.Revision state.History || fault = IgnoresTheChainHash

    let isIdle = state.Stream = 0 && state.Inbox.IsNone && state.Mine = 0
    let hasRoom = state.Entries.Length < bounds.MaxEntries

    let putBack length =
        { state with
            Forks = state.Forks + 1
            Pasts = state.Pasts.Add state.History
            History = prefix length state.History
            Oldest = min state.Oldest (length + 1)
            Stream = 0 }

    let bring upTo =
        { state with
            Inbox = Some(state.Stream, state.History |> List.skip (state.Stream - 1) |> List.truncate (upTo - state.Stream + 1))
            Stream = upTo + 1 }

    let movePuller id =
        { state with
            Moves = state.Moves + 1
            Puller = id
            Stream = 0
            Inbox = None
            Mine = 0
            Ordered = 0 }

    let apply id =
        let node = state.Nodes[id - 1]
        let entry = state.Entries[node.Applied]
        let fits = entry.From = node.Revision + 1 || fault = AppliesWithoutTheRevisionCheck
        let counts = if fault = SharesARevisionInsideABatch then 1 else entry.Changes.Length

        let applied =
            match entry.Kind with
            | Changes when fits -> { node with Data = node.Data @ entry.Changes; Revision = node.Revision + counts }
            | Whole when entry.From > node.Revision ->
                { node with
                    Data = (if fault = SwapIsNotAtomic then node.Data else entry.Changes)
                    Revision = entry.From }
            | _ -> node

        let nodes = List.updateAt (id - 1) { applied with Applied = node.Applied + 1 } state.Nodes

        if id <> state.Puller || state.Mine <> node.Applied + 1 then { state with Nodes = nodes }
        elif fits || fault = GoesOnBehindASkippedBatch then { state with Nodes = nodes; Mine = 0 }
        else { state with Nodes = nodes; Mine = 0; Stream = 0; Inbox = None }

    seq {
        if state.History.Length < bounds.MaxRevision then { state with History = state.History @ [ state.Forks ] }
        if state.Oldest <= state.History.Length then { state with Oldest = state.Oldest + 1 }

        if isIdle && hasChain && hasSameChain then { state with Stream = pulling.Revision + 1; Ordered = 0 }
        if state.Stream > 0 then { state with Stream = 0 }
        if state.Mine > 0 then { state with Stream = 0; Inbox = None; Mine = 0 }

        match state.Inbox with
        | Some(from, changes) when hasRoom && (state.Mine = 0 || fault = DoesNotWaitForItsBatch) ->
            { state with
                Entries = state.Entries @ [ { Kind = Changes; From = from; Changes = changes } ]
                Inbox = None
                Mine = state.Entries.Length + 1 }
        | _ -> ()

        let isLost = pulling.Revision + 1 < state.Oldest
        let isOrdered = state.Ordered > 0 && state.Ordered = pulling.Revision

        if isIdle && state.Staged.IsEmpty && state.History.Length > pulling.Revision && (isLost || isOrdered) then
            { state with Staged = state.History }

        if isIdle && not state.Staged.IsEmpty && hasRoom then
            { state with
                Entries = state.Entries @ [ { Kind = Whole; From = state.Staged.Length; Changes = state.Staged } ]
                Mine = state.Entries.Length + 1
                Staged = []
                Ordered = 0 }

        if state.Orders < bounds.MaxOrders && state.Stream = 0 && pulling.Revision > 0 && hasChain && not hasSameChain then
            { state with Orders = state.Orders + 1; Ordered = pulling.Revision }

        for length in 0 .. state.History.Length do
            if state.Forks < bounds.MaxForks && length < state.History.Length then putBack length
            if state.Stream > 0 && state.Inbox.IsNone && state.Stream >= state.Oldest && length >= state.Stream then bring length

        for id in 1 .. bounds.Members do
            if id <> state.Puller && state.Moves < bounds.MaxMoves then movePuller id
            if state.Nodes[id - 1].Applied < state.Entries.Length then apply id
    }

/// The invariants, by their names there.
let rules: (string * (State -> bool)) list =
    let prefixes state =
        let wholes = state.Pasts.Add state.History

        state.Nodes |> List.forall (fun node -> node.Data.Length = node.Revision && wholes |> Set.exists (isPrefix node.Data))

    let sameEverywhere state =
        List.allPairs state.Nodes state.Nodes
        |> List.forall (fun (a, b) -> a.Applied <> b.Applied || (a.Data = b.Data && a.Revision = b.Revision))

    [ "Prefix_G0", prefixes; "SameEverywhere", sameEverywhere ]

/// Two states are one if they have one text.
let key (state: State) =
    let text = StringBuilder()
    let number (value: int) = text.Append(char (value + 1)) |> ignore

    let changes (some: Change list) =
        number some.Length
        List.iter number some

    changes state.History
    number state.Forks
    number state.Pasts.Count
    Set.iter changes state.Pasts
    number state.Oldest
    number state.Entries.Length

    for entry in state.Entries do
        number (if entry.Kind = Changes then 0 else 1)
        number entry.From
        changes entry.Changes

    for node in state.Nodes do
        number node.Applied
        changes node.Data
        number node.Revision

    number state.Puller
    number state.Stream

    match state.Inbox with
    | Some(from, some) ->
        number from
        changes some
    | None -> number 0

    number state.Mine
    changes state.Staged
    List.iter number [ state.Ordered; state.Orders; state.Moves ]
    text.ToString()
