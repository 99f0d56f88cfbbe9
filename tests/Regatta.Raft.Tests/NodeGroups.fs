/// The groups of a node, on the real databases.
module Regatta.Raft.Tests.NodeGroups

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Core
open Regatta.Raft
open Regatta.Storage
open Regatta.Raft.Tests.Fixtures

let history = Guid.Parse "6c1f7a52-39a5-4b7e-9d5c-0d2b8d3f9a11"

let private options = GroupHostOptions(Log = smallLog)

/// A node's groups on a directory of their own; closing it is a clean stop.
type Node(path: string, options: GroupHostOptions) =
    let directory = NodeDirectory.Open(path, NodeRole.Leader, 1L, Nullable history)

    let host = GroupHost.OpenAsync(directory, options, NullLoggerFactory.Instance, TimeProvider.System).GetAwaiter().GetResult()

    new(path) = new Node(path, options)
    member _.Host = host
    member _.Directory = directory

    member _.Start(group: int64) =
        task {
            let spec = GroupSpec(group, $"table{group}", Incarnation(history, group))
            return! soonResult (host.StartAsync(spec, CancellationToken.None).AsTask())
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    do! soon (host.DisposeAsync().AsTask())
                    directory.Dispose()
                }
                :> Task
            )

/// Ends a node as a crash does: what is not flushed of its tables is gone, what was synced of its log is there.
let crash (node: Node) = node.Host.Setting.FailStop.Trigger "a test crashes the node"

/// What the work was refused with.
let refusal (work: unit -> Task<'a>) =
    task {
        try
            let! _ = work ()
            return failtest "it was expected to be refused"
        with e ->
            return e
    }
