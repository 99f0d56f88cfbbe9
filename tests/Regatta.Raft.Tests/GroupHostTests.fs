module Regatta.Raft.Tests.GroupHostTests

open System
open System.IO
open System.Text
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Core
open Regatta.Raft
open Regatta.Storage
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures

let private history = Guid.Parse "6c1f7a52-39a5-4b7e-9d5c-0d2b8d3f9a11"

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

let private bytes (text: string) = ReadOnlyMemory(Encoding.UTF8.GetBytes text)

let private put (group: ITableGroup) (key: string) (value: string) =
    task {
        let! outcome = soonResult (group.ProposeAsync(PutCommand(bytes key, bytes value, false), CancellationToken.None).AsTask())

        match Option.ofObj outcome.Result with
        | Some result -> return result.Revision
        | None -> return failtestf "put %s: %O %s" key outcome.Failure (string outcome.Reason)
    }

let private get (group: ITableGroup) (key: string) =
    let read = group.Reader.Get((bytes key).Span, true)
    if read.Found then Some(Encoding.UTF8.GetString read.Value.Span, read.Header.ModRevision) else None

let private basics =
    testList
        "groups of a node"
        [ taskCase "a put is applied when it is acknowledged, with a revision of its own"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path)
                  let! group = node.Start 10001L

                  for i in 1..20 do
                      let! revision = put group $"key{i}" $"value{i}"
                      Expect.equal revision (int64 i) "revision"
                      Expect.equal (get group $"key{i}") (Some($"value{i}", int64 i)) "visible at once"

                  let! barrier = soonResult (group.ReadBarrierAsync(CancellationToken.None).AsTask())
                  Expect.isTrue barrier.Succeeded "the only member leads"
                  Expect.equal group.LeaderNodeId 1L "leader"
                  Expect.isGreaterThan group.Term 0L "term"
              }

          taskCase "after a restart everything is there, in a new term"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  let! before =
                      task {
                          use node = new Node(directory.Path)
                          let! group = node.Start 10001L

                          for i in 1..50 do
                              let! _ = put group $"key{i % 7}" $"value{i}"
                              ()

                          return group.Status
                      }

                  use node = new Node(directory.Path)
                  Expect.sequenceEqual node.Host.OnDisk [ 10001L ] "found on disk"
                  let! group = node.Start 10001L
                  Expect.equal group.Status.Applied before.Applied "the same state"
                  Expect.equal (get group "key1") (Some("value50", 50L)) "the last value"
                  Expect.isGreaterThan group.Term before.Term "a new life is a new term"
                  let! revision = put group "next" "one"
                  Expect.equal revision 51L "revisions go on"
              }

          taskCase "a dropped group is gone, and its directory too"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path)
                  let! first = node.Start 10001L
                  let! second = node.Start 10002L
                  let! _ = put first "a" "1"
                  let! _ = put second "b" "2"
                  do! soon (node.Host.DropAsync(10001L, CancellationToken.None).AsTask())
                  do! soon (node.Host.DropAsync(10001L, CancellationToken.None).AsTask())
                  Expect.sequenceEqual node.Host.OnDisk [ 10002L ] "what is left"
                  Expect.isFalse (Directory.Exists(node.Directory.TablePath 10001L)) "the directory is gone"
                  let! outcome = soonResult (first.ProposeAsync(PutCommand(bytes "a", bytes "2", false), CancellationToken.None).AsTask())
                  Expect.equal outcome.Failure GroupFailure.Stopped "the old handle says so"
                  Expect.equal (get second "b") (Some("2", 1L)) "the other one goes on"
              } ]

let tests = testList "GroupHost" [ basics ]
