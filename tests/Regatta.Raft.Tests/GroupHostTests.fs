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

let private bytes (text: string) = ReadOnlyMemory(Encoding.UTF8.GetBytes text)

let put (group: ITableGroup) (key: string) (value: string) =
    task {
        let! outcome = soonResult (group.ProposeAsync(PutCommand(bytes key, bytes value, false), CancellationToken.None).AsTask())

        match Option.ofObj outcome.Result with
        | Some result -> return result.Revision
        | None -> return failtestf "put %s: %O %s" key outcome.Failure (string outcome.Reason)
    }

let get (group: ITableGroup) (key: string) =
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

/// Ends a node as a crash does: what is not flushed of its tables is gone, what was synced of its log is there.
let crash (node: Node) = node.Host.Setting.FailStop.Trigger "a test crashes the node"

let refusal (work: unit -> Task<'a>) =
    task {
        try
            let! _ = work ()
            return failtest "it was expected to be refused"
        with e ->
            return e
    }

let private many =
    testList
        "a hundred groups"
        [ taskCase "share the log and its syncs, and are all there after a crash"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let ids = [| for number in 1L .. 100L -> 10000L + number |]
                  let rounds = Scale.pick 5 50

                  do!
                      task {
                          use node = new Node(directory.Path)
                          let! groups = Task.WhenAll [| for id in ids -> node.Start id |]
                          let before = node.Host.Setting.Log.Rounds

                          for round in 1..rounds do
                              let! revisions = Task.WhenAll [| for group in groups -> put group "key" $"{group.GroupId}/{round}" |]
                              Expect.allEqual revisions (int64 round) "each table counts for itself"

                          let synced = node.Host.Setting.Log.Rounds - before
                          Expect.isLessThan synced (int64 (rounds * 100 / 2)) "far fewer syncs than puts"
                          crash node
                      }

                  use node = new Node(directory.Path)
                  Expect.sequenceEqual node.Host.OnDisk ids "all are found"
                  let! groups = Task.WhenAll [| for id in ids -> node.Start id |]

                  for group in groups do
                      Expect.equal (get group "key") (Some($"{group.GroupId}/{rounds}", int64 rounds)) "the last value"
              } ]

let private lifecycle =
    testList
        "lifecycle"
        [ taskCase "starting a group twice, also at once, gives the same group"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path)
                  let! groups = Task.WhenAll [| for _ in 1..8 -> node.Start 10001L |]
                  Expect.allEqual groups groups[0] "one group"
                  Expect.equal (node.Host.TryGet 10001L) (true, groups[0]) "found"
                  Expect.isFalse (fst (node.Host.TryGet 10002L)) "another is not"
              }

          taskCase "another incarnation of a table is refused, and the right one starts afterwards"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use node = new Node(directory.Path)
                          let! group = node.Start 10001L
                          let! _ = put group "a" "1"
                          ()
                      }

                  use node = new Node(directory.Path)
                  let other = GroupSpec(10001L, "table", Incarnation(history, 99L))
                  let! cause = refusal (fun () -> node.Host.StartAsync(other, CancellationToken.None).AsTask())
                  Expect.isTrue (cause :? StorageRefusedException) $"{cause.GetType().Name}: {cause.Message}"
                  let! group = node.Start 10001L
                  Expect.equal (get group "a") (Some("1", 1L)) "the right one"
              }

          taskCase "a damaged table is refused by name, and the others serve"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use node = new Node(directory.Path)

                          for id in [ 10001L; 10002L ] do
                              let! group = node.Start id

                              for i in 1..100 do
                                  let! _ = put group $"key{i}" (String('x', 100))
                                  ()
                      }

                  let table = directory.Sub "tables/10001"

                  for file in Directory.GetFiles(table, "*.sst") do
                      use stream = File.Open(file, FileMode.Open, FileAccess.ReadWrite)
                      stream.SetLength(stream.Length / 2L)

                  use node = new Node(directory.Path)
                  let! cause = refusal (fun () -> node.Start 10001L)
                  Expect.isTrue (cause :? InvalidDataException) $"{cause.GetType().Name}: {cause.Message}"
                  Expect.stringContains cause.Message table "names the directory"
                  let! other = node.Start 10002L
                  Expect.equal other.Reader.Revision 100L "the other one serves"
              }

          taskCase "a damaged log is refused when the node opens it"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use node = new Node(directory.Path)
                          let! group = node.Start 10001L

                          for i in 1..100 do
                              let! _ = put group $"key{i}" (String('x', 100))
                              ()
                      }

                  let log = directory.Sub "log"
                  let file = Directory.GetFiles(log, "*.log") |> Array.maxBy (fun file -> FileInfo(file).Length)

                  do
                      use stream = File.Open(file, FileMode.Open, FileAccess.ReadWrite)
                      stream.Position <- stream.Length / 2L
                      stream.Write(ReadOnlySpan [| 1uy; 2uy; 3uy; 4uy |])

                  let! cause = refusal (fun () -> Task.Run(fun () -> new Node(directory.Path)))
                  Expect.isTrue (cause :? InvalidDataException) $"{cause.GetType().Name}: {cause.Message}"
                  Expect.stringContains cause.Message log "names the directory"
              }

          taskCase "a drop that a crash left half done cannot come to life, and is completed"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use node = new Node(directory.Path)
                          let! group = node.Start 10001L
                          let! _ = put group "a" "1"
                          ()
                      }

                  do!
                      task {
                          // The log is gone, the crash came before the directory went.
                          use failStop = new FailStop()
                          use log = openStore (directory.Sub "log") failStop None
                          do! soon (log.DropAsync 10001L)
                      }

                  use node = new Node(directory.Path)
                  Expect.sequenceEqual node.Host.OnDisk [ 10001L ] "it is still seen"
                  let! cause = refusal (fun () -> node.Start 10001L)
                  Expect.stringContains cause.Message "already at" "the state does not start without its log"
                  do! soon (node.Host.DropAsync(10001L, CancellationToken.None).AsTask())
                  Expect.isEmpty node.Host.OnDisk "completed"
              }

          taskCase "a state that is lost is made again from the log, unless the log was cut"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let eager = GroupHostOptions(Log = smallLog, Groups = GroupOptions(FlushBytes = 1L))

                  do!
                      task {
                          use node = new Node(directory.Path)
                          let! group = node.Start 10001L

                          for i in 1..10 do
                              let! _ = put group $"key{i}" "value"
                              ()
                      }

                  Directory.Delete(directory.Sub "tables/10001", true)

                  do!
                      task {
                          use node = new Node(directory.Path, eager)
                          let! group = node.Start 10001L
                          Expect.equal group.Reader.Revision 10L "all of it, from the log"
                          do! soon (node.Host.MaintainAsync())
                          Expect.equal group.Status.FirstIndex 11L "now the log is cut"
                      }

                  Directory.Delete(directory.Sub "tables/10001", true)
                  use node = new Node(directory.Path)
                  let! cause = refusal (fun () -> node.Start 10001L)
                  Expect.isTrue (cause :? InvalidDataException) $"{cause.GetType().Name}: {cause.Message}"
                  Expect.stringContains cause.Message "starts behind 10" "half of a table is not served as the table"
              }

          taskCase "below the low-water mark of the real disk writes are refused"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path, GroupHostOptions(Log = smallLog, LowWaterBytes = Int64.MaxValue / 2L))
                  let! group = node.Start 10001L
                  let! outcome = soonResult (group.ProposeAsync(PutCommand(bytes "a", bytes "1", false), CancellationToken.None).AsTask())
                  Expect.equal outcome.Failure GroupFailure.DiskFull "refused"
                  Expect.stringContains (nonNull outcome.Reason) "free" "says why"
              }

          taskCase "a node that must stop says so once, and its groups take nothing"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path)
                  let! group = node.Start 10001L
                  Expect.isFalse node.Host.Failure.IsCompleted "all is well"
                  crash node
                  let! cause = soonResult node.Host.Failure
                  Expect.stringContains cause "a test crashes the node" "the cause"
                  let! outcome = soonResult (group.ProposeAsync(PutCommand(bytes "a", bytes "1", false), CancellationToken.None).AsTask())
                  Expect.equal outcome.Failure GroupFailure.Stopped "nothing is taken"
              } ]

/// Writers on several tables, and crashes that lose what was not flushed of the tables, over the real databases.
let private crashes =
    taskCase "no crash of a node loses an acknowledged write of any table"
    <| fun () ->
        task {
            let random = Random Seed.current

            for run in 1 .. Scale.pick 3 60 do
                use directory = new TemporaryDirectory()
                let ids = [ 10001L; 10002L; 10003L ]
                let acknowledged = Collections.Concurrent.ConcurrentDictionary<struct (int64 * string), struct (string * int64)>()

                for life in 1..4 do
                    let name = $"seed {Seed.current}, run {run}, life {life}"
                    let options = GroupHostOptions(Log = smallLog, Groups = GroupOptions(FlushBytes = 50_000L))
                    use node = new Node(directory.Path, options)
                    let! groups = Task.WhenAll [| for id in ids -> node.Start id |]

                    for entry in acknowledged do
                        let struct (id, key) = entry.Key
                        let struct (value, revision) = entry.Value
                        let group = groups |> Array.find (fun group -> group.GroupId = id)
                        Expect.equal (get group key) (Some(value, revision)) $"{name}: {key} of {id} was acknowledged"

                    let enough = acknowledged.Count + 50 + random.Next 400

                    let writer (number: int) (group: ITableGroup) =
                        Task.Run<unit>(fun () ->
                            task {
                                let mutable sequence = 0
                                let mutable isUp = true

                                while isUp do
                                    sequence <- sequence + 1
                                    let key = $"{life}/{number}/{sequence}"
                                    let value = String('v', sequence % 700) + key

                                    let! outcome =
                                        soonResult (
                                            group.ProposeAsync(PutCommand(bytes key, bytes value, false), CancellationToken.None).AsTask()
                                        )

                                    match outcome.Result with
                                    | null -> isUp <- outcome.Failure <> GroupFailure.Stopped && outcome.Failure <> GroupFailure.Unknown
                                    | result -> acknowledged[struct (group.GroupId, key)] <- struct (value, result.Revision)
                            })

                    let writers =
                        [| for number in 1..2 do
                               for group in groups -> writer number group |]

                    while acknowledged.Count < enough do
                        do! soon (node.Host.MaintainAsync())

                    crash node
                    let! _ = soonResult (Task.WhenAll writers)
                    ()
        }

let tests = testList "GroupHost" [ basics; many; lifecycle; crashes ]
