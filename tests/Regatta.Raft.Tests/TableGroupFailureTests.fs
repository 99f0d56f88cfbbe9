/// What callers of a group are told when something fails.
module Regatta.Raft.Tests.TableGroupFailureTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Time.Testing
open Regatta.Raft
open Regatta.Testing.Tables
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.GroupLife

let private failing =
    testList
        "failing"
        [ taskCase "after a failed sync nothing is acknowledged, everybody is told, and the next life has all that was"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let disk = Disk()

                  do!
                      task {
                          use life = new Life(directory.Path, disk)
                          let! group = life.Start()
                          let! _ = put group "a" "1"
                          life.Gate.Close()
                          let inLog = propose group "b" "2"
                          do! soon life.Gate.Reached
                          let waiting = [ for i in 1..10 -> propose group $"c{i}" "3" ]
                          let confirming = barrier group
                          let revision = group.WaitForRevisionAsync(9L, CancellationToken.None).AsTask()
                          let view = group.OpenViewAsync(9L, CancellationToken.None).AsTask()
                          life.Gate.Fail(IOException "the disk is gone")
                          let! cause = soonResult life.FailStop.Failure
                          Expect.stringContains cause "the disk is gone" "the cause"
                          let! outcome = inLog
                          Expect.equal outcome.Failure GroupFailure.Unknown "it was handed to the log"

                          for call in waiting do
                              let! outcome = call
                              Expect.equal outcome.Failure GroupFailure.Stopped "it was not"

                          let! outcome = confirming
                          Expect.equal outcome.Failure GroupFailure.Stopped "no barrier"
                          let! end' = failure revision
                          Expect.isTrue (end' :? ObjectDisposedException) $"no revision comes any more: {end'}"
                          let! end' = failure view
                          Expect.isTrue (end' :? ObjectDisposedException) $"and no view: {end'}"
                          let! outcome = propose group "d" "4"
                          Expect.equal outcome.Failure GroupFailure.Stopped "nothing is taken"
                          Expect.equal (get group "b") None "nothing of it is visible"
                          disk.State <- (MemoryTableStore incarnation).State
                      }

                  use life = new Life(directory.Path, disk)
                  let! group = life.Start()
                  Expect.equal (get group "a") (Some("1", 1L)) "what was acknowledged"
                  Expect.equal group.Reader.Revision 1L "and nothing else"
              }

          taskCase "a table that cannot be written stops the node, and its callers are told that it is unknown"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  let! _ = put group "a" "1"
                  life.State.WriteFailure <- Some(IOException "no room in the table")
                  let! outcome = propose group "b" "2"
                  Expect.equal outcome.Failure GroupFailure.Unknown "in the log, not applied"
                  let! cause = soonResult life.FailStop.Failure
                  Expect.stringContains cause "no room in the table" "the cause"
                  Expect.stringContains cause "'table'" "names the table"
                  Expect.equal group.Reader.Revision 1L "readers see what was applied"
              }

          taskCase "a failure in the background of a table's database stops the node"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  life.State.Error <- "compaction failed"
                  do! soon (group.MaintainAsync())
                  let! cause = soonResult life.FailStop.Failure
                  Expect.stringContains cause "compaction failed" "the cause"
              }

          taskCase "below the low-water mark writes are refused, reads go on, and writes resume by themselves"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  let! _ = put group "a" "1"
                  life.Free <- 999L
                  let! outcome = propose group "b" "2"
                  Expect.equal outcome.Failure GroupFailure.DiskFull "refused"
                  let! confirmed = barrier group
                  Expect.isTrue confirmed.Succeeded "reads"
                  Expect.equal (get group "a") (Some("1", 1L)) "reads"
                  life.Free <- 1050L
                  let! outcome = propose group "b" "2"
                  Expect.equal outcome.Failure GroupFailure.DiskFull "not at the very mark: it would flap"
                  life.Free <- 1100L
                  let! revision = put group "b" "2"
                  Expect.equal revision 2L "resumed"
              }

          taskCase "a leader that does not commit what is synced is noticed after a while"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use failStop = new FailStop()
                  use store = openStore (directory.Sub "log") failStop None
                  let entries = EntryLog(store, 7L)
                  entries.Open nothingApplied
                  let! _ = entries.SetTermAsync(fun hard -> HardState(1L, hard.Vote, 0L, 0L))
                  let time = FakeTimeProvider()
                  let watch = StallWatch(entries, TimeSpan.FromSeconds 10., time)
                  Expect.isFalse (watch.IsStalled()) "nothing to commit"
                  let index = entries.Append(LogRecord.New(1L, false, ReadOnlySpan [| 1uy |]), null)
                  do! soon (entries.DurableAt index)
                  Expect.isFalse (watch.IsStalled()) "just synced"
                  time.Advance(TimeSpan.FromSeconds 9.)
                  Expect.isFalse (watch.IsStalled()) "not yet"
                  time.Advance(TimeSpan.FromSeconds 2.)
                  Expect.isTrue (watch.IsStalled()) "synced for 11 seconds, and nobody commits it"
                  let! _ = entries.CommitAsync(index, CancellationToken.None)
                  Expect.isFalse (watch.IsStalled()) "committed"
              }

          taskCase "a group whose loop has died says so and keeps nobody waiting"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let time = FakeTimeProvider()
                  use life = new Life(directory.Path, Disk(), GroupOptions(), time, WriteGate())
                  let! group = life.Start()
                  let! _ = put group "a" "1"
                  // DotNext's loop ends when the commit of an entry throws, and nothing tells.
                  let onCommit = nonNull group.Entries.OnCommit
                  let died = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

                  group.Entries.OnCommit <-
                      fun () ->
                          died.SetResult()
                          raise (InvalidOperationException "a bug")

                  group.Entries.Append(LogRecord.New(group.Term, false, ReadOnlySpan [||]), null) |> ignore
                  use source = new CancellationTokenSource()
                  let confirming = group.ReadBarrierAsync(source.Token).AsTask()
                  do! soon died.Task
                  source.Cancel()
                  let! _ = soonResult confirming
                  group.Entries.OnCommit <- onCommit
                  onCommit.Invoke()
                  life.Gate.Close()
                  let stuck = propose group "b" "2"
                  do! soon life.Gate.Reached
                  life.Gate.Open()
                  do! soon (group.Entries.DurableAt 3L)
                  do! soon (group.MaintainAsync())
                  time.Advance(TimeSpan.FromSeconds 5.)
                  do! soon (group.MaintainAsync())
                  Expect.isNull group.Status.Fault "not yet"
                  Expect.isFalse stuck.IsCompleted "nobody commits it"
                  time.Advance(TimeSpan.FromSeconds 6.)
                  do! soon (group.MaintainAsync())
                  let! outcome = stuck
                  Expect.equal outcome.Failure GroupFailure.Unknown "it is in the log"
                  Expect.isNotNull group.Status.Fault "the status says so"
                  let! outcome = propose group "c" "3"
                  Expect.equal outcome.Failure GroupFailure.NoLeader "nothing is taken any more"
                  let! confirmed = barrier group
                  Expect.equal confirmed.Failure GroupFailure.NoLeader "nor confirmed"
                  Expect.equal (get group "a") (Some("1", 1L)) "readers see what was applied"
              }

          taskCase "a start whose first write fails is refused, and leaves nothing behind"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  life.Gate.Fail(IOException "read-only")
                  let mutable message = ""

                  try
                      let! _ = life.Start()
                      ()
                  with e ->
                      message <- e.Message

                  Expect.stringContains message "read-only" "the cause"
                  let! _ = soonResult life.FailStop.Failure
                  Expect.isEmpty (Directory.GetDirectories(directory.Sub "scratch")) "no shell is left"
              } ]

let tests = testList "TableGroup" [ failing ]
