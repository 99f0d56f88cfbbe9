module Regatta.Raft.Tests.TableGroupTests

open System
open System.Collections.Generic
open System.IO
open System.Text
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Logging.Abstractions
open Microsoft.Extensions.Time.Testing
open Regatta.Core
open Regatta.Raft
open Regatta.Testing
open Regatta.Testing.Tables
open Regatta.Raft.Tests.Fixtures

let private incarnation = Incarnation(Guid.Parse "6c1f7a52-39a5-4b7e-9d5c-0d2b8d3f9a11", 3L)

let private storeOf state =
    let store = MemoryTableStore incarnation
    store.State <- state
    store

let private appliedOf state = (storeOf state :> ITableStore).Applied

/// All records of a state.
let private rowsOf state =
    use view = (storeOf state :> ITableStore).OpenView()
    use cursor = view.Scan(KeyRange.From(ReadOnlyMemory [||]))
    let rows = ResizeArray()

    while cursor.MoveNext() do
        rows.Add(Encoding.UTF8.GetString cursor.Key, cursor.Header, Encoding.UTF8.GetString cursor.Value)

    List.ofSeq rows

/// A table in memory whose disk is a copy of it: a crash goes back to the copy.
type Disk() =
    let mutable state = (MemoryTableStore incarnation).State
    member val Flushes = 0 with get, set

    member _.State
        with get () = state
        and set value = state <- value

/// A store that can be made to fail its next write.
type private Guarded(inner: MemoryTableStore, failure: unit -> exn option) =
    let store = inner :> ITableStore

    interface ITableStore with
        member _.Applied = store.Applied
        member _.Latest = store.Latest
        member _.NewBatch() = store.NewBatch()

        member _.Write(batch, next) =
            match failure () with
            | Some cause -> raise cause
            | None -> store.Write(batch, &next)

    interface ITableReader with
        member _.Revision = store.Revision
        member _.Get(key, withValue) = store.Get(key, withValue)
        member _.OpenView() = store.OpenView()

type MemoryState(disk: Disk) =
    let store = MemoryTableStore incarnation
    do store.State <- disk.State
    member val WriteFailure: exn option = None with get, set
    member val Error: string | null = null with get, set

    member _.Rows = store

    interface IGroupState with
        member this.Store = Guarded(store, (fun () -> this.WriteFailure)) :> ITableStore
        member _.Flushed = appliedOf disk.State
        member _.Bytes = 0L
        member _.OldestRevision = 0L
        member this.BackgroundError = this.Error

        member _.Flush() =
            disk.Flushes <- disk.Flushes + 1
            disk.State <- store.State

        member _.TrimChangelog() = ()
        member _.Dispose() = ()

/// One life of a node with one group: what it was given on disk, until it is stopped or crashes.
type Life(directory: string, disk: Disk, options: GroupOptions, time: TimeProvider, gate: WriteGate) =
    let failStop = new FailStop()

    let log = openStore (Path.Combine(directory, "log")) failStop (Some gate)
    let mutable free = Int64.MaxValue
    let room = DiskRoom(1000L, (fun () -> free))

    let setting =
        GroupSetting(1L, log, Path.Combine(directory, "scratch"), failStop, room, options, NullLoggerFactory.Instance, time)

    let state = new MemoryState(disk)
    let mutable group: TableGroup | null = null

    new(directory, disk) = new Life(directory, disk, GroupOptions(), TimeProvider.System, WriteGate())
    member _.Gate = gate
    member _.FailStop = failStop
    member _.State = state
    member _.Log = log

    member _.Free
        with set value =
            free <- value
            room.Measure() |> ignore

    member _.Group = nonNull group

    member _.Start() =
        task {
            let! started = soonResult (TableGroup.StartAsync(GroupSpec(7L, "table", incarnation), setting, state))
            group <- started
            // What the host does when the node must stop.
            failStop.Token.Register(fun () -> started.Abort(string failStop.Cause)) |> ignore
            return started
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    gate.Open()

                    match group with
                    | null -> ()
                    | started -> do! soon (started.DisposeAsync().AsTask())

                    log.Dispose()
                    failStop.Dispose()
                }
                :> Task
            )

let private bytes (text: string) = ReadOnlyMemory(Encoding.UTF8.GetBytes text)

let private propose (group: TableGroup) (key: string) (value: string) =
    soonResult (group.ProposeAsync(PutCommand(bytes key, bytes value, false), CancellationToken.None).AsTask())

let private put (group: TableGroup) key value =
    task {
        let! outcome = propose group key value

        match outcome.Result with
        | null -> return failtestf "put %s: %O %s" key outcome.Failure (string outcome.Reason)
        | result -> return result.Revision
    }

let private get (group: TableGroup) (key: string) =
    let read = group.Reader.Get((bytes key).Span, true)
    if read.Found then Some(Encoding.UTF8.GetString read.Value.Span, read.Header.ModRevision) else None

let private barrier (group: TableGroup) = soonResult (group.ReadBarrierAsync(CancellationToken.None).AsTask())

let private replay =
    testList
        "start"
        [ taskCase "a table that lost its unflushed state is what it was before, when the start completes"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let disk = Disk()

                  let! before =
                      task {
                          use life = new Life(directory.Path, disk)
                          let! group = life.Start()

                          for i in 1..100 do
                              let! _ = put group $"key{i % 13}" $"value{i}"
                              ()

                          // A crash: the disk keeps what was flushed, which is nothing.
                          disk.State <- (MemoryTableStore incarnation).State
                          life.FailStop.Trigger "crash"
                          return life.State.Rows.State
                      }

                  use life = new Life(directory.Path, disk)
                  let! group = life.Start()
                  Expect.equal (group.Reader.Revision) 100L "all revisions, before anybody asks"
                  Expect.equal (rowsOf life.State.Rows.State) (rowsOf before) "the same rows"
                  Expect.equal (appliedOf life.State.Rows.State).Chain (appliedOf before).Chain "the same history"
              }

          taskCase "a group leads within its start, and at once"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  Expect.equal group.LeaderNodeId 1L "leader"
                  Expect.equal group.Term 1L "the first term"
                  let! outcome = barrier group
                  Expect.isTrue outcome.Succeeded "leadership"
              } ]

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
                          do! revision.ContinueWith((fun (_: Task) -> ()), TaskScheduler.Default).WaitAsync patience
                          Expect.isTrue revision.IsFaulted "no revision comes any more"
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

let private cutting =
    testList
        "flush and cut"
        [ taskCase "a table is flushed when its unflushed log is large, and the log is cut to what is on disk"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let disk = Disk()
                  let options = GroupOptions(FlushBytes = 200_000L)
                  use life = new Life(directory.Path, disk, options, FakeTimeProvider(), WriteGate())
                  let! group = life.Start()

                  for i in 1..10 do
                      let! _ = put group $"key{i}" (String('x', 10_000))
                      ()

                  do! soon (group.MaintainAsync())
                  Expect.equal disk.Flushes 0 "not enough"
                  Expect.equal group.Status.FirstIndex 1L "the log is whole"

                  for i in 1..20 do
                      let! _ = put group $"key{i}" (String('x', 10_000))
                      ()

                  do! soon (group.MaintainAsync())
                  Expect.equal disk.Flushes 1 "flushed"
                  Expect.equal (appliedOf disk.State).Revision 30L "all of it"
                  Expect.equal (group.Status.FirstIndex, group.Status.FlushedIndex) (31L, 30L) "the log is cut"
                  Expect.equal group.Status.LogBytes 0L "and empty"
              }

          taskCase "an idle table is flushed after a time, once"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let disk = Disk()
                  let time = FakeTimeProvider()
                  let options = GroupOptions(FlushInterval = TimeSpan.FromMinutes 5.)
                  use life = new Life(directory.Path, disk, options, time, WriteGate())
                  let! group = life.Start()
                  let! _ = put group "a" "1"
                  do! soon (group.MaintainAsync())
                  time.Advance(TimeSpan.FromMinutes 4.)
                  do! soon (group.MaintainAsync())
                  Expect.equal disk.Flushes 0 "not yet"
                  time.Advance(TimeSpan.FromMinutes 2.)
                  do! soon (group.MaintainAsync())
                  Expect.equal disk.Flushes 1 "after its time"
                  time.Advance(TimeSpan.FromHours 1.)
                  do! soon (group.MaintainAsync())
                  Expect.equal disk.Flushes 1 "there is nothing new"
              }

          taskCase "a flush of the database's own is noticed, and the log is cut below it, not above"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let disk = Disk()
                  use life = new Life(directory.Path, disk, GroupOptions(), FakeTimeProvider(), WriteGate())
                  let! group = life.Start()

                  for i in 1..5 do
                      let! _ = put group "a" $"{i}"
                      ()

                  disk.State <- life.State.Rows.State

                  for i in 6..9 do
                      let! _ = put group "a" $"{i}"
                      ()

                  do! soon (group.MaintainAsync())
                  Expect.equal disk.Flushes 0 "it was not ours"
                  Expect.equal group.Status.FirstIndex 6L "cut below what is on disk"
              }

          taskCase "a clean stop flushes, so that the next start has nothing to replay"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let disk = Disk()

                  do!
                      task {
                          use life = new Life(directory.Path, disk)
                          let! group = life.Start()
                          let! _ = put group "a" "1"
                          ()
                      }

                  Expect.equal (disk.Flushes, (appliedOf disk.State).Revision) (1, 1L) "flushed"
              } ]

let private stopping =
    testList
        "stopping"
        [ taskCase "finishes what is in the log and refuses the rest"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  life.Gate.Close()
                  let inLog = propose group "a" "1"
                  do! soon life.Gate.Reached
                  let waiting = propose group "b" "2"
                  let stopping = group.DisposeAsync().AsTask()
                  let! refused = waiting
                  Expect.equal refused.Failure GroupFailure.Stopped "who waited outside the log"
                  Expect.isFalse stopping.IsCompleted "an entry is on its way"
                  life.Gate.Open()
                  do! soon stopping
                  let! outcome = inLog
                  Expect.equal outcome.Failure GroupFailure.None "what was in the log"
                  let! late = propose group "c" "3"
                  Expect.equal late.Failure GroupFailure.Stopped "who comes late"
                  let! confirmed = barrier group
                  Expect.equal confirmed.Failure GroupFailure.Stopped "no barrier"
                  do! soon (group.DisposeAsync().AsTask())
              } ]

let private linearizable =
    testList
        "reads"
        [ taskCase "a barrier that succeeds shows every write acknowledged before it was asked for"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  let mutable acknowledged = 0L
                  let mutable stop = false

                  let writers =
                      [| for writer in 1..4 ->
                             Task.Run<unit>(fun () ->
                                 task {
                                     while not (Volatile.Read &stop) do
                                         let! revision = put group $"key{writer}" "x"
                                         // The largest one acknowledged so far.
                                         let mutable seen = Volatile.Read &acknowledged

                                         while revision > seen && Interlocked.CompareExchange(&acknowledged, revision, seen) <> seen do
                                             seen <- Volatile.Read &acknowledged
                                 }) |]

                  let reader (seed: int) =
                      Task.Run<unit>(fun () ->
                          task {
                              for _ in 1 .. Scale.pick 200 5000 do
                                  let before = Volatile.Read &acknowledged
                                  let! outcome = barrier group
                                  Expect.isTrue outcome.Succeeded "confirmed"
                                  Expect.isGreaterThanOrEqual group.Reader.Revision before $"reader {seed}"
                          })

                  let! _ = soonResult (Task.WhenAll [| for seed in 1..4 -> reader seed |])
                  Volatile.Write(&stop, true)
                  let! _ = soonResult (Task.WhenAll writers)
                  ()
              }

          taskCase "waiting for a revision ends when readers see it"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  let third = group.WaitForRevisionAsync(3L, CancellationToken.None).AsTask()
                  let! _ = put group "a" "1"
                  let! _ = put group "a" "2"
                  Expect.isFalse third.IsCompleted "revision 2"
                  let! _ = put group "a" "3"
                  do! soon third
                  do! soon (group.WaitForRevisionAsync(2L, CancellationToken.None).AsTask())
                  use source = new CancellationTokenSource()
                  let never = group.WaitForRevisionAsync(99L, source.Token).AsTask()
                  source.Cancel()
                  do! never.ContinueWith((fun (_: Task) -> ()), TaskScheduler.Default).WaitAsync patience
                  Expect.isTrue never.IsCanceled "who cancels is let go"
              } ]

/// Random writers, flushes and cuts; then a crash at a random moment, which keeps what was synced of the log and flushed of the table.
let private crashing =
    let write
        (random: Random)
        (group: TableGroup)
        (life: int)
        (writer: int)
        (acknowledged: List<struct (string * string * int64)>)
        (stop: unit -> bool)
        =
        Task.Run<unit>(fun () ->
            task {
                let mutable sequence = 0

                while not (stop ()) do
                    sequence <- sequence + 1
                    let key = $"{life}/{writer}/{sequence}"
                    let value = String('v', lock random (fun () -> random.Next 2000)) + key
                    let! outcome = propose group key value

                    match outcome.Result with
                    | null -> ()
                    | result -> lock acknowledged (fun () -> acknowledged.Add(struct (key, value, result.Revision)))
            })

    taskCase "no crash loses an acknowledged write, whatever was flushed and cut before it"
    <| fun () ->
        task {
            let random = Random Seed.current

            for run in 1 .. Scale.pick 15 300 do
                use directory = new TemporaryDirectory()
                let disk = Disk()
                let acknowledged = List<struct (string * string * int64)>()

                for life' in 1..5 do
                    let name = $"seed {Seed.current}, run {run}, life {life'}"
                    let options = GroupOptions(FlushBytes = 20_000L, RetainedLogBytes = (if random.Next 2 = 0 then 0L else 100_000L))
                    use life = new Life(directory.Path, disk, options, TimeProvider.System, WriteGate())
                    let! group = life.Start()

                    for struct (key, value, revision) in acknowledged do
                        Expect.equal (get group key) (Some(value, revision)) $"{name}: {key} was acknowledged"

                    let mutable stop = false
                    let writers = [| for writer in 1..3 -> write random group life' writer acknowledged (fun () -> Volatile.Read &stop) |]
                    let target = lock acknowledged (fun () -> acknowledged.Count) + random.Next 60

                    while lock acknowledged (fun () -> acknowledged.Count) < target do
                        do! soon (group.MaintainAsync())

                    // The crash: a round that is on its way to disk is not synced, and nothing is after it.
                    life.Gate.Close()

                    if random.Next 2 = 0 then do! soon life.Gate.Reached

                    let image = disk.State
                    life.Gate.Fail(IOException "crash")
                    let! _ = soonResult life.FailStop.Failure
                    Volatile.Write(&stop, true)
                    let! _ = soonResult (Task.WhenAll writers)
                    disk.State <- image
        }

let tests = testList "TableGroup" [ replay; failing; cutting; stopping; linearizable; crashing ]
