/// What starts, what does not and why, and what ends a node.
module Regatta.Raft.Tests.GroupHostLifecycleTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Storage
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.NodeGroups

/// A node's life with one put in group 10001, and a clean stop.
let private oneLife (directory: TemporaryDirectory) =
    task {
        use node = new Node(directory.Path)
        let! group = node.Start 10001L
        let! _ = put group "a" "1"
        ()
    }

/// Nothing is flushed but when a test says so.
let private littleMemory =
    GroupHostOptions(
        Log = smallLog,
        Storage = StorageOptions(WriteBufferBytes = (4L <<< 20)),
        MemoryInterval = TimeSpan.FromHours 1.,
        MaintenanceInterval = TimeSpan.FromHours 1.
    )

/// Ten tables, two of them with more than there is room for.
let private fill (node: Node) =
    task {
        let! groups = Task.WhenAll [| for id in 10001L .. 10010L -> node.Start id |]
        let value = String('v', 60_000)

        for number, group in Array.indexed groups do
            for i in 1 .. (if number < 2 then 20 else 1) do
                let! _ = put group $"key{i}" value
                ()

        return groups
    }

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

                  do! oneLife directory

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

                  do! oneLife directory

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

          taskCase "what was fetched for a group that is dropped before the next start is found there, and dropped"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use _ = new Node(directory.Path)
                          ()
                      }

                  for fetched in [ "10001"; "-10002" ] do
                      let parts = Directory.CreateDirectory(directory.Sub $"snapshots/{fetched}/parts")
                      File.WriteAllText(Path.Combine(parts.FullName, "000001.sst"), "a part")

                  use node = new Node(directory.Path)
                  Expect.sequenceEqual node.Host.OnDisk [ 10001L; 10002L ] "found"

                  for group in [ 10001L; 10002L ] do
                      do! soon (node.Host.DropAsync(group, CancellationToken.None).AsTask())

                  Expect.isEmpty node.Host.OnDisk "dropped"
                  Expect.isEmpty (Directory.GetFileSystemEntries(directory.Sub "snapshots")) "and gone"
              }

          taskCase "a group whose place for generations is damaged is refused, and the node stops"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  do! oneLife directory
                  Directory.CreateDirectory(directory.Sub "generations/10001") |> ignore
                  File.WriteAllBytes(directory.Sub "generations/10001/current", Array.zeroCreate 16)

                  let! cause =
                      task {
                          // Its end waits for whoever starts a group.
                          use node = new Node(directory.Path)
                          return! refusal (fun () -> node.Start 10001L)
                      }

                  Expect.isTrue (cause :? InvalidDataException) $"{cause.GetType().Name}: {cause.Message}"
                  Expect.stringContains cause.Message "current is damaged" "says what and where"
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

          taskCase "when unflushed writes are too many the fullest tables are flushed, and the others are left alone"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path, littleMemory)
                  let! groups = fill node
                  do! soon (node.Host.RelieveMemoryAsync())
                  let flushed = [ for group in groups -> group.Status.FlushedIndex > 1L ]
                  Expect.isTrue (List.exists id (List.take 2 flushed)) "a full table is flushed"
                  Expect.equal (List.skip 2 flushed) (List.replicate 8 false) "tables with little in them are not"
                  let again = [ for group in groups -> group.Status.FlushedIndex ]
                  do! soon (node.Host.RelieveMemoryAsync())
                  Expect.equal [ for group in groups -> group.Status.FlushedIndex ] again "once there is room nothing is flushed"
              }

          taskCase "a node that must stop does not wait for room that nobody makes any more"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path, littleMemory)
                  let! groups = fill node
                  crash node
                  do! soon (Task.Run<unit>(fun () -> task { do! node.Host.RelieveMemoryAsync() }))
                  Expect.all groups (fun group -> group.Status.FlushedIndex <= 1L) "nothing is flushed once the node has failed"
              }

          taskCase "below the low-water mark of the real disk writes are refused"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path, GroupHostOptions(Log = smallLog, LowWaterBytes = Int64.MaxValue / 2L))
                  let! group = node.Start 10001L
                  let! outcome = propose group "a" "1"
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
                  let! outcome = propose group "a" "1"
                  Expect.equal outcome.Failure GroupFailure.Stopped "nothing is taken"
              } ]

let tests = testList "GroupHost" [ lifecycle ]
