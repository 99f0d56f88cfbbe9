/// Whole nodes of a site in this process: GroupHost, real databases, and connections over loopback.
module Regatta.Raft.Tests.HostedSite

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.Collections.Immutable
open System.IO
open System.Threading
open System.Threading.Tasks
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Core
open Regatta.Raft
open Expecto
open Regatta.Spec
open Regatta.Storage
open Regatta.Testing
open Regatta.Testing.Tables
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.SiteLife

/// Maintained when a test says so, and no sooner.
let private hostOptions (groups: GroupOptions) (site: SiteOptions) (progress: StartProgress) (traces: string) =
    GroupHostOptions(
        Log = smallLog,
        Groups = groups,
        Site = site,
        Progress = progress,
        TracePath = traces,
        LowWaterBytes = 0L,
        MaintenanceInterval = TimeSpan.FromHours 1.
    )

type HostedNode(directory: NodeDirectory, host: GroupHost) =
    member _.Host = host
    member _.Directory = directory

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    do! soon (host.DisposeAsync().AsTask())
                    directory.Dispose()
                }
                :> Task
            )

/// A site of several nodes, three unless it is said. Nodes are started and stopped one by one; a group is started on each by itself, as the catalogue does it. At its end all
/// that its nodes did is held against the specification.
type HostedSite(root: string, count: int64) =
    let groups = quickWith (TimeSpan.FromSeconds 20.)
    let ids = [ 1L .. count ]
    // Nodes come back to where they were: nobody else may have got the port meanwhile.
    let ports = ids |> List.map (fun _ -> Ports.Take())

    let addresses =
        ImmutableDictionary.CreateRange(List.map2 (fun id (taken: Ports) -> KeyValuePair(id, $"127.0.0.1:{taken.Raft}")) ids ports)

    let nodes = ConcurrentDictionary<int64, HostedNode>()
    let progress = ConcurrentDictionary<int64, StartProgress>()
    let traces = Path.Combine(root, "traces")
    let pathOf (id: int64) = Path.Combine(root, $"node-{id}")

    new(root) = new HostedSite(root, 3L)
    member _.Ids = ids

    /// What a test makes the nodes do that the specification does not allow.
    member val Breaks: RaftTraceCheck.Reason option = None with get, set
    member _.PathOf(id: int64) = pathOf id
    member _.Node(id: int64) = nodes[id]

    /// Completes when the node belongs to the site: for the first ones, when enough of them are there.
    member _.StartNode(id: int64) =
        task {
            let directory = NodeDirectory.OpenInSite(pathOf id, NodeRole.Leader, id)
            let site = SiteOptions(Name = "north", Members = addresses, ListenAddress = addresses[id])
            progress[id] <- StartProgress()

            let! host =
                soonResult (
                    GroupHost.OpenAsync(
                        directory,
                        hostOptions groups site progress[id] traces,
                        NullLoggerFactory.Instance,
                        TimeProvider.System
                    )
                )

            nodes[id] <- new HostedNode(directory, host)
        }

    /// On a node; for one whose disk was lost it completes when it has the table back.
    member _.StartGroup(id: int64, group: int64) =
        nodes[id].Host.StartAsync(GroupSpec(group, $"table{group}", GroupLife.incarnation), CancellationToken.None).AsTask()

    member site.Start(group: int64) =
        task {
            do! Task.WhenAll [| for id in ids -> (site.StartNode id :> Task) |]

            for id in ids do
                let! _ = soonResult (site.StartGroup(id, group))
                ()
        }

    /// Completes when the node says of its start that it waits for this.
    member _.WaitsFor(id: int64, what: string) =
        let rec look () =
            task {
                if not (progress[id].WaitsFor.Contains what) then
                    do! Task.Delay 10
                    return! look ()
            }

        soon (look ())

    /// As a crash does it: what was not flushed of the tables is gone.
    member _.Crash(id: int64) =
        task {
            match nodes.TryRemove id with
            | true, node ->
                node.Host.Setting.FailStop.Trigger "a test crashes the node"
                do! (node :> IAsyncDisposable).DisposeAsync()
            | _ -> ()
        }

    /// The node's disk is lost.
    member _.Wipe(id: int64) = Directory.Delete(pathOf id, true)

    member _.Group(id: int64, group: int64) : ITableGroup =
        match nodes[id].Host.TryGet group with
        | true, found -> nonNull found
        | _ -> failwith $"group {group} does not run on node {id}"

    member _.Table(id: int64, group: int64) : TableGroup = nonNull ((nodes[id].Host :> ISiteGroups).Find group)

    /// One of these leads the group, as all of them see it.
    member site.Leader(group: int64, among: int64 list) =
        let rec look () =
            task {
                match among |> List.map (fun id -> site.Group(id, group).LeaderNodeId) |> List.distinct with
                | [ leader ] when List.contains leader among -> return leader
                | _ ->
                    do! Task.Delay 10
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
                                    do! site.Crash id

                                for taken in ports do
                                    (taken :> IDisposable).Dispose()
                            })

                    Afterwards.check (fun () ->
                        match site.Breaks with
                        | None -> Traces.verify (Traces.read traces) |> ignore
                        | Some reason ->
                            match RaftTraceCheck.check (Traces.read traces) with
                            | Error mismatch -> Expect.equal mismatch.Reason reason "what the trace is refused for"
                            | Ok _ -> failtest "the specification allows it")
                }
                :> Task
            )
