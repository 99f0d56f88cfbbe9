namespace Regatta.Replication.Tests

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Regatta
open Regatta.Core
open Regatta.Raft

/// What becomes of a proposal.
type private Fate =
    | Committed
    | Refused
    | Lost
    | AppliedAlthoughUnknown
    | Duplicated
    | Hanging
    | Throwing

/// The log of a follower site's group: entries are committed in order, and each node applies them when it comes to it. There is one leader or none; what the nodes
/// know of it may be old. All consensus has to promise, and nothing that it need not.
[<Sealed>]
type FollowerSite(scene: Scene, life: Incarnation, size: int, bug: PlantedBug, check: FollowerNode -> unit) as site =
    let log = ResizeArray<ReadOnlyMemory<byte>>()
    /// What the entries came to, by the node that applied each first.
    let reached = ResizeArray<struct (int64 * ChainHash)>()
    let nodes = [| for id in 1..size -> FollowerNode(scene, site, int64 id, FollowerState(life, bug), bug, check) |]
    let mutable leader = 1L

    member _.Life = life
    member _.Nodes = nodes
    member _.Leader = leader
    member _.Commit = int64 log.Count
    member _.Entry(index: int64) = log[int index - 1]

    /// Installations that changed a node's state, and nodes that had to fetch another one's state because they lacked what was to be installed.
    member val Installed = 0L with get, set
    member val Stalled = 0L with get, set

    /// The revision that the committed entries come to.
    member _.CommittedRevision =
        let furthest = nodes |> Array.maxBy _.Applied
        let mutable revision = furthest.Revision

        for index in furthest.Applied + 1L .. int64 log.Count do
            let mutable entry = EntryReader log[int index - 1]
            revision <- entry.RevisionBehind(life, revision)

        revision

    member _.Append(payload) =
        log.Add payload

        for node in nodes do
            node.Wake()

        int64 log.Count

    member site.Lead(node: int64) =
        leader <- node
        scene.Tell(fun () -> $"node {node} leads group {life.Number}")
        // An entry of its own, without commands, as every new leader commits one.
        if node > 0L then site.Append ReadOnlyMemory.Empty |> ignore

        for node in nodes do
            scene.After(scene.While 400, (fun () -> node.KnownLeader <- site.Leader))

    /// A node has applied all up to an entry: to the same as each other one.
    member _.Compare(node: FollowerNode) =
        let state: AppliedState = node.State
        let here = struct (state.Revision, state.Chain)

        if int state.Index > reached.Count then
            // The entries that it did not apply one by one, because it got another node's state, are there already.
            reached.Add here
        elif reached[int state.Index - 1] <> here then
            scene.Blame $"node {node.Id} is at {here} behind entry {state.Index}, and another one was at {reached[int state.Index - 1]}"

/// The group as one node sees it.
and [<Sealed>] FollowerNode(scene: Scene, site: FollowerSite, id: int64, state: FollowerState, bug: PlantedBug, check: FollowerNode -> unit)
    =
    let answers = Dictionary<int64, CommandResult -> unit>()
    let waiting = Waiters()
    let watching = Waiters()
    let writer = EntryWriter()
    let mutable isAwake = false
    let mutable isDown = false
    let mutable isClosed = false

    let encode (command: TableCommand) =
        writer.Reset()
        writer.Append command
        writer.ToPayload()

    let results (index: int64) : ICommandResults | null =
        match answers.TryGetValue index with
        | true, answer ->
            { new ICommandResults with
                member _.Set(_, result) = answer result }
        | false, _ -> null

    let outcome (failure: GroupFailure) = ProposalOutcome.Failed(failure, $"{failure}, says the simulated group")

    let draw () =
        if site.Leader = 0L then
            Refused
        elif not (scene.Happens 40) then
            Committed
        else
            match scene.Random.Next 100 with
            | n when n < 15 -> Refused
            | n when n < 30 -> Lost
            | n when n < 60 -> AppliedAlthoughUnknown
            | n when n < 85 -> Duplicated
            | n when n < 95 -> Hanging
            | _ -> Throwing

    member _.Id = id
    member _.Group = site
    member _.Revision = state.Reader.Revision
    member _.Applied = state.Applied.Index
    member _.State = state.Applied
    member _.Table = state
    member val KnownLeader = 1L with get, set

    override _.ToString() = $"node {id} of group {site.Life.Number}"

    /// Applies what is committed after a while, perhaps not all of it at once.
    member node.Wake() =
        if not (isAwake || isDown || isClosed) then
            isAwake <- true
            scene.After(scene.While(scene.Choose [| 2; 20; 200; 1500 |]), node.Apply)

    member private node.Apply() =
        isAwake <- false
        let last = if scene.Happens 50 then min site.Commit (node.Applied + 1L + int64 (scene.Random.Next 3)) else site.Commit
        let mutable canGoOn = not (isDown || isClosed)

        while canGoOn && node.Applied < last do
            canGoOn <- node.TryApply(node.Applied + 1L)

        if canGoOn then
            if scene.Random.Next 4 = 0 then state.Flush()
            node.Arrive()
            if node.Applied < site.Commit then node.Wake()

    /// False: the entry cannot be applied now; it is tried again by itself, if it is to be.
    member private node.TryApply(index: int64) =
        let before = node.Revision
        let exchanges = state.Exchanges
        let isApplied = state.Apply(index, site.Entry index, results index)

        if isApplied then
            if state.Exchanges > exchanges then node.EndWatches()
            answers.Remove index |> ignore
            scene.Tell(fun () -> $"{node} applies entry {index}: revision {node.Revision}, chain {node.State.Chain}")
            if node.Revision < before then scene.Blame $"{node} went back from revision {before} to {node.Revision}"

            if not (isNull (EntryReader.ReadInstall(site.Entry index))) && node.Revision > before then
                site.Installed <- site.Installed + 1L

            site.Compare node
            check node
        else
            scene.Tell(fun () -> $"{node} stands still in front of entry {index}: it has not got the state")
            isAwake <- true
            scene.After(scene.While 800, fun () -> node.Fetch index)

        isApplied

    /// The state of a node that has applied the entry, if there is one now.
    member private node.Fetch(index) =
        isAwake <- false

        match site.Nodes |> Array.filter (fun other -> other.Applied >= index && not other.IsDown) with
        | _ when isDown || isClosed -> ()
        | [||] -> node.Wake()
        | _ when scene.Happens 20 -> node.Wake()
        | others ->
            let other = scene.Choose others
            let before = node.Revision
            state.CopyFrom other.Table
            node.EndWatches()
            site.Stalled <- site.Stalled + 1L
            scene.Tell(fun () -> $"{node} has got the state of node {other.Id}: entry {node.Applied}, revision {node.Revision}")
            if node.Revision < before then scene.Blame $"{node} went back from revision {before} to {node.Revision}"
            site.Compare node
            check node
            node.Arrive()
            node.Wake()

    member private node.Arrive() =
        waiting.Arrive node.Applied
        watching.Arrive node.Revision

    /// The state that is watched is another one, or is closed.
    member private node.EndWatches() = if bug <> WatchesOn then watching.Fail(ObjectDisposedException(string node))

    member _.IsDown = isDown
    member _.IsClosed = isClosed

    /// What it had not on disk is gone, and nobody gets an answer.
    member node.Crash() =
        scene.Tell(fun () -> $"{node} dies")
        isDown <- true
        answers.Clear()
        waiting.Clear()
        watching.Clear()
        state.Crash()

    member node.Restart() =
        if isDown then
            scene.Tell(fun () -> $"{node} is back, at entry {node.Applied} and revision {node.Revision}")
            isDown <- false
            if not isClosed then node.Wake()

    /// The table is deleted.
    member node.Close() =
        scene.Tell(fun () -> $"{node} closes")
        isClosed <- true
        node.EndWatches()

    member private node.Reached(index: int64, token) : Task =
        if index <= node.Applied then
            Task.CompletedTask
        else
            node.Wake()
            waiting.Wait(index, token)

    /// Puts an entry into the log after a while, and answers when it is applied here.
    member private node.Commit(payload, longest, answer: TaskCompletionSource<ProposalOutcome>) =
        scene.After(
            scene.While longest,
            fun () ->
                let mutable result: CommandResult | null = null
                let index = site.Append payload
                scene.Tell(fun () -> $"{node}'s proposal is entry {index}")
                answers[index] <- fun given -> result <- given

                task {
                    do! node.Reached(index, CancellationToken.None)
                    // It is not known what came of it if another node's state was taken.
                    let known =
                        match result with
                        | null -> outcome GroupFailure.Unknown
                        | result -> ProposalOutcome.Applied result

                    answer.TrySetResult known |> ignore
                }
                |> ignore
        )

    member private node.Propose(command: TableCommand, token: CancellationToken) =
        let answer = TaskCompletionSource<ProposalOutcome>()
        let payload = encode command
        let fail failure longest = scene.After(scene.While longest, (fun () -> answer.TrySetResult(outcome failure) |> ignore))
        let fate = draw ()

        scene.Tell(fun () ->
            match command with
            | :? ReplicatedBatch as batch -> $"{node} proposes {batch.Commands.Length} revisions behind {batch.Before}: %A{fate}"
            | :? InstallCommand as install ->
                $"{node} proposes to install revision {install.Revision} of life {install.Incarnation.Number}: %A{fate}"
            | _ -> $"{node} proposes {command.GetType().Name}: %A{fate}")

        match fate with
        | _ when isClosed -> fail GroupFailure.Stopped 10
        | Committed -> node.Commit(payload, 60, answer)
        | Refused -> fail GroupFailure.NoLeader 300
        | Lost -> fail GroupFailure.Unknown 2000
        | AppliedAlthoughUnknown ->
            fail GroupFailure.Unknown 500
            node.Commit(payload, 5000, TaskCompletionSource<ProposalOutcome>())
        | Duplicated ->
            node.Commit(payload, 60, answer)
            node.Commit(payload, 5000, TaskCompletionSource<ProposalOutcome>())
        | Hanging -> fail GroupFailure.Unknown 10_000
        | Throwing -> scene.After(scene.While 100, (fun () -> answer.TrySetException(ObjectDisposedException "the group") |> ignore))

        token.UnsafeRegister((fun _ -> answer.TrySetResult(outcome GroupFailure.Unknown) |> ignore), null) |> ignore
        answer.Task

    member private node.Barrier(token: CancellationToken) =
        task {
            do! scene.Wait(scene.While 100, token)

            if isClosed then
                return BarrierOutcome(GroupFailure.Stopped, "stopped, says the simulated group")
            elif site.Leader = 0L || scene.Happens 5 then
                do! scene.Wait(scene.While 1000, token)
                return BarrierOutcome(GroupFailure.NoLeader, "no leader, says the simulated group")
            else
                let commit = site.Commit
                do! scene.Wait(scene.While 20, token)
                do! node.Reached(commit, token)
                return BarrierOutcome()
        }

    interface ITableReader with
        member _.Revision = state.Reader.Revision
        member _.Get(key, withValue) = state.Reader.Get(key, withValue)
        member _.OpenView() = state.Reader.OpenView()

        member node.OpenChanges(from, withParts) =
            if isClosed then raise (ObjectDisposedException(string node)) else state.OpenChanges(from, withParts)

        member node.ReadChain revision = if isClosed then raise (ObjectDisposedException(string node)) else state.ReadChain revision

    interface ITableGroup with
        member _.GroupId = site.Life.Number
        member node.Reader = node
        member node.ProposeAsync(command, token) = ValueTask<ProposalOutcome>(node.Propose(command, token))
        member node.ReadBarrierAsync token = ValueTask<BarrierOutcome>(node.Barrier token)

        member node.WaitForRevisionAsync(revision, token) =
            if isClosed then
                ValueTask(Task.FromException(ObjectDisposedException(string node)))
            else
                // Of what is not there nobody who passes it over must wait for ever.
                let awaited = if bug = WatchesOn then max revision state.Oldest else revision

                if awaited <= node.Revision then ValueTask.CompletedTask else ValueTask(watching.Wait(awaited, token))

        member _.OpenViewAsync(_, _) = raise (NotSupportedException())
        member _.LedAtAsync _ = raise (NotSupportedException())
        member _.MoveLeaderAsync(_, _) = raise (NotSupportedException())
        member _.Term = 1L
        member node.LeaderNodeId = node.KnownLeader
        member _.Fault = null
        member _.Status = raise (NotSupportedException())
        member _.DisposeAsync() = ValueTask.CompletedTask
