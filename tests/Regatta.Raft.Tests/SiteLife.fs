/// Nodes of one site in this process: real consensus, real logs, tables and network in memory.
module Regatta.Raft.Tests.SiteLife

open System
open System.Collections.Concurrent
open System.IO
open System.Threading
open System.Threading.Tasks
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Core
open Regatta.Raft
open Regatta.Testing
open Regatta.Testing.Tables
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupLife
open Regatta.Raft.Tests.Wires
open Regatta.Raft.Tests.TraceLines

/// Nobody waits for a disk of its own here; yet all nodes share this process, and one that is not run for a moment must not lose its leadership.
let quickWith (patience: TimeSpan) =
    GroupOptions(
        ElectionTimeout = TimeSpan.FromSeconds 1.5,
        MaxElectionTimeout = TimeSpan.FromSeconds 3.,
        HeartbeatInterval = TimeSpan.FromMilliseconds 60.,
        VoteTimeout = TimeSpan.FromMilliseconds 300.,
        AppendTimeout = TimeSpan.FromSeconds 2.,
        LeaderTimeout = patience,
        BarrierTimeout = patience
    )

let quick = quickWith (TimeSpan.FromSeconds 10.)

/// What a node keeps from one life to the next.
type NodeDisk(directory: string) =
    let tables = ConcurrentDictionary<int64, Disk>()
    member _.Directory = directory
    member _.Table(group: int64) = tables.GetOrAdd(group, (fun _ -> Disk()))

/// Who looks on while nodes work.
[<NoEquality; NoComparison>]
type SiteWatch =
    {
        /// A group has started on a node.
        Started: int64 -> TableGroup -> unit
        /// A node has applied entries of a group up to here.
        Applied: int64 -> int64 -> AppliedState -> unit
        /// A node cannot be helped by entries.
        NeedsSnapshot: int64 -> SnapshotNeed -> unit
    }

let nobodyWatches =
    { Started = (fun _ _ -> ())
      Applied = (fun _ _ _ -> ())
      NeedsSnapshot = (fun _ _ -> ()) }

/// One life of one node.
type SiteNode(id: int64, ids: int64 list, disk: NodeDisk, wires: Wires, options: GroupOptions, watch: SiteWatch, traces: TraceLines) =
    let failStop = new FailStop()
    let gate = WriteGate()
    let trace = traces.Of(id, ids.Length)
    let log = openStoreTraced trace smallLog (Path.Combine(disk.Directory, "log")) failStop (Some gate)
    let room = DiskRoom(0L, (fun () -> Int64.MaxValue))
    let members = SiteMembers(id, ids, (fun target -> wires.Peer(id, target)))
    let scratch = Path.Combine(disk.Directory, "scratch", Guid.NewGuid().ToString "N")

    let setting =
        GroupSetting(
            id,
            members,
            log,
            scratch,
            failStop,
            room,
            options,
            NullLoggerFactory.Instance,
            TimeProvider.System,
            NeedSnapshot = (fun need -> watch.NeedsSnapshot id need)
        )

    let groups = ConcurrentDictionary<int64, TableGroup>()

    let heartbeats =
        Heartbeats(members, (fun () -> groups.Values :> seq<TableGroup>), options.MaxElectionTimeout, TimeProvider.System)

    let beating = new CancellationTokenSource()

    let beat () =
        task {
            use timer = new PeriodicTimer(options.HeartbeatInterval)

            try
                while! timer.WaitForNextTickAsync(beating.Token) do
                    heartbeats.Beat()
            with :? OperationCanceledException ->
                ()
        }

    let heart = beat ()

    do
        failStop.Token.Register(fun () ->
            for group in groups.Values do
                group.Abort(string failStop.Cause))
        |> ignore

    member _.Id = id
    member _.Gate = gate
    member _.FailStop = failStop
    member _.Group(group: int64) = groups[group]
    member _.Groups = groups.Values

    member node.Start(group: int64) =
        task {
            let state = new MemoryState(disk.Table group, Written = watch.Applied id group)
            let! started = soonResult (TableGroup.StartAsync(GroupSpec(group, $"table{group}", incarnation), setting, state))
            // First: from then on others reach it.
            watch.Started id started
            groups[group] <- started
            wires.Attach(id, node)
            return started
        }

    member _.TryGroup(group: int64) =
        match groups.TryGetValue group with
        | true, found -> Some found
        | _ -> None

    /// Puts a table's state, fetched from elsewhere, in the place of the group's own, and its log behind it.
    member node.Install(group: int64, state: Regatta.Testing.Tables.MemoryState) =
        task {
            match groups.TryRemove group with
            | true, stopped ->
                do! soon (stopped.DisposeAsync().AsTask())
                let applied = appliedOf state
                let entries = EntryLog(log, group)
                entries.OpenForRestart()
                do! entries.RestartBehindAsync(applied.Index, applied.Term)
                (disk.Table group).State <- state
                let! _ = node.Start group
                ()
            | _ -> ()
        }

    /// The network no longer knows the node, its log takes nothing more, what was not flushed of its tables is gone.
    member _.Crash() =
        wires.Detach id
        beating.Cancel()
        failStop.Trigger "a test crashes the node"

    member private _.Find(group: int64) : TableGroup | null =
        match groups.TryGetValue group with
        | true, found -> found
        | _ -> null

    member private node.LogOf(group: int64) : EntryLog | null =
        match node.Find group with
        | null -> null
        | found -> found.Entries

    interface IPeerHandler with
        member node.HandleAsync(from, group, method, request, token) =
            match groups.TryGetValue group with
            | true, found -> found.Endpoint.HandleAsync(from, method, request, token)
            | _ when method = PeerMethod.Commits ->
                ValueTask<ReadOnlyMemory<byte>>(
                    task {
                        do! CommitNotices.ReceiveAsync(request, (fun group -> node.LogOf group)).AsTask()
                        return ReadOnlyMemory.Empty
                    }
                )
            | _ when method = PeerMethod.Beats ->
                Heartbeats.ReceiveAsync(
                    from,
                    request,
                    (fun group -> node.Find group),
                    options.HeartbeatInterval,
                    TimeProvider.System,
                    token
                )
            | _ -> ValueTask<ReadOnlyMemory<byte>>(Task.FromException<ReadOnlyMemory<byte>>(IOException "the group is not here"))

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    wires.Detach id
                    beating.Cancel()
                    do! heart
                    gate.Open()
                    do! soon (Task.WhenAll [| for group in groups.Values -> group.DisposeAsync().AsTask() |])
                    log.Dispose()
                    trace.Dispose()
                    failStop.Dispose()
                }
                :> Task
            )

/// A site of so many nodes, each on a directory of its own, with the same groups on all of them. At its end all that its nodes did is held against the specification.
type Site(directory: string, count: int, groups: int64 list, options: GroupOptions, watch: SiteWatch) =
    let ids = [ for number in 1..count -> int64 number ]
    let wires = Wires()
    let disks = dict [ for id in ids -> id, NodeDisk(Path.Combine(directory, $"node-{id}")) ]
    let nodes = ConcurrentDictionary<int64, SiteNode>()
    let traces = TraceLines()

    new(directory, count, groups, options) = new Site(directory, count, groups, options, nobodyWatches)
    new(directory, count) = new Site(directory, count, [ 7L ], quick)
    member _.Ids = ids
    member _.Wires = wires

    /// What the nodes have written down so far.
    member _.Events = traces.Events

    member _.Nodes =
        [ for id in ids do
              if nodes.ContainsKey id then nodes[id] ]

    member _.Node(id: int64) = nodes[id]

    member _.TryNode(id: int64) =
        match nodes.TryGetValue id with
        | true, node -> Some node
        | _ -> None

    member _.Disk(id: int64) = disks[id]

    member _.StartNode(id: int64) =
        task {
            let node = new SiteNode(id, ids, disks[id], wires, options, watch, traces)
            nodes[id] <- node

            for group in groups do
                let! _ = node.Start group
                ()

            return node
        }

    member site.Start() =
        task {
            let! _ = Task.WhenAll [| for id in ids -> site.StartNode id |]
            ()
        }

    member _.StopNode(id: int64) =
        task {
            match nodes.TryRemove id with
            | true, node -> do! (node :> IAsyncDisposable).DisposeAsync()
            | _ -> ()
        }

    member site.Crash(id: int64) =
        task {
            nodes[id].Crash()
            do! site.StopNode id
        }

    /// Waits until one of these nodes leads the group, as all of them see it.
    member site.Leader(group: int64, among: int64 list) =
        // A group that is getting a snapshot is not there for a moment.
        let leaderOf (id: int64) =
            match site.TryNode id |> Option.bind _.TryGroup(group) with
            | Some found -> found.LeaderNodeId
            | None -> 0L

        let rec look () =
            task {
                let seen = among |> List.map leaderOf |> List.distinct

                match seen with
                | [ leader ] when List.contains leader among -> return leader
                | _ ->
                    do! Task.Delay(10)
                    return! look ()
            }

        soonResult (look ())

    interface IAsyncDisposable with
        member site.DisposeAsync() =
            ValueTask(
                task {
                    do!
                        Afterwards.checkAsync (fun () ->
                            task {
                                for id in ids do
                                    do! site.StopNode id
                            })

                    Afterwards.check (fun () -> Traces.verify traces.Events |> ignore)
                }
                :> Task
            )
