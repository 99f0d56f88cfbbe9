/// What DotNext expects of a log: what a read gives, and when a wait for apply ends.
module Regatta.Raft.Tests.GroupLogReadTests

open System
open System.IO
open System.Threading
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupLogEntries

let private reading =
    testList
        "reading"
        [ taskCase "an empty range is an empty list"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  let! given = soonResult (log.Read(4L, 3L))
                  Expect.equal given { Snapshot = None; Terms = []; Payloads = [] } "nothing"
              }

          taskCase "what is behind the range comes with it: who is behind by many rounds gets it all in one message"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 9L
                  let! given = soonResult (log.Read(3L, 4L))
                  Expect.equal given.Payloads.Length 7 "from 3 to 9"
              }

          taskCase "a range beyond the end is refused"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  let mutable refused = false

                  try
                      let! _ = soonResult (log.Read(3L, 4L))
                      ()
                  with :? ArgumentOutOfRangeException ->
                      refused <- true

                  Expect.isTrue refused "refused"
              }

          taskCase "at or below the cut there is one snapshot entry with the cut's index and term"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path)
                          do! committed log 3L 10L
                          do! soon (log.Entries.CutAsync(6L, 0L))

                          for first in [ 1L; 6L ] do
                              let! given = soonResult (log.Read(first, 10L))
                              Expect.equal given { Snapshot = Some 6L; Terms = [ 3L ]; Payloads = [ [||] ] } $"from {first}"
                      }

                  use log = new GroupFixture(directory.Path, None, smallLog, appliedAt 6L 3L)
                  let! given = soonResult (log.Read(2L, 10L))
                  Expect.equal given.Snapshot (Some 6L) "the cut outlives a restart"
                  let! given = soonResult (log.Read(7L, 10L))
                  Expect.equal given.Payloads [ for i in 7L .. 10L -> payload i ] "and so does what is behind it"
              }

          taskCase "one read gives at most about 4 MiB, and at least one entry"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let options = RaftLogOptions(TailCacheBytes = 1L, MaxPendingBytes = 100_000_000L)
                  use log = new GroupFixture(directory.Path, None, options, nothingApplied)
                  do! soon (log.UpdateTerm 1L)

                  for index in 1L .. 10L do
                      let! _ = soonResult (log.AppendAsLeader(1L, large index (if index = 9L then 6_000_000 else 1_000_000)))
                      ()

                  let check (where: string) =
                      task {
                          let! given = soonResult (log.Read(1L, 10L))
                          Expect.equal given.Payloads.Length 4 $"{where}: four of one million bytes"
                          let! given = soonResult (log.Read(9L, 10L))
                          Expect.equal [ for p in given.Payloads -> p.Length ] [ 6_000_000 ] $"{where}: a large one comes alone"
                      }

                  do! check "from memory"
                  let! _ = soonResult (log.Commit 10L)
                  do! check "from disk"
              }

          taskCase "the term of any entry is read at (i, i), from memory, from disk and at the cut"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let options = RaftLogOptions(TailCacheBytes = 1L)
                  use log = new GroupFixture(directory.Path, None, options, nothingApplied)

                  for term in 1L .. 20L do
                      do! soon (log.UpdateTerm term)
                      let! _ = soonResult (log.AppendAsLeader(term, payload term))
                      ()

                  let! _ = soonResult (log.Commit 15L)
                  do! soon (log.Entries.CutAsync(5L, 0L))

                  for index in 5L .. 20L do
                      let! given = soonResult (log.Read(index, index, true))
                      Expect.equal given.Terms [ index ] $"term of entry {index}"
              }

          taskCase "what has left memory is read from disk, the same"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let options = RaftLogOptions(TailCacheBytes = 2_000L)
                  use log = new GroupFixture(directory.Path, None, options, nothingApplied)
                  do! soon (log.UpdateTerm 1L)

                  for index in 1L .. 100L do
                      let! _ = soonResult (log.AppendAsLeader(1L, large index 200))
                      let! _ = soonResult (log.Commit index)
                      ()

                  let! given = soonResult (log.Read(1L, 100L))
                  Expect.equal given.Payloads [ for i in 1L .. 100L -> large i 200 ] "all entries"

                  Expect.equal
                      [ for e in log.Entries.ReadCommitted(3L, 500L) -> e.Payload.ToArray() ]
                      [ large 3L 200; large 4L 200 ]
                      "for the applier too"
              }

          taskCase "waiting for apply means applied, not committed"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  let second = log.Trail.WaitForApplyAsync(2L, CancellationToken.None).AsTask()
                  let next = log.Trail.WaitForApplyAsync(CancellationToken.None).AsTask()
                  Expect.isFalse second.IsCompleted "committed, but not applied"
                  log.Progress.Advance(1L, 1L)
                  do! soon next
                  Expect.isFalse second.IsCompleted "entry 2 is not applied"
                  log.Progress.Advance(2L, 2L)
                  do! soon second
                  do! soon (log.Trail.WaitForApplyAsync(1L, CancellationToken.None).AsTask())
              }

          taskCase "who cancels waiting for apply is let go, and who waits when nothing will be applied any more is told"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  use source = new CancellationTokenSource()
                  let cancelled = log.Trail.WaitForApplyAsync(5L, source.Token).AsTask()
                  let waiting = log.Trail.WaitForApplyAsync(5L, CancellationToken.None).AsTask()
                  let revision = log.Progress.WaitForRevisionAsync(5L, CancellationToken.None).AsTask()
                  source.Cancel()
                  do! ended cancelled
                  Expect.isTrue cancelled.IsCanceled "cancelled"
                  Expect.isFalse waiting.IsCompleted "the other one waits on"
                  log.Progress.Fail(IOException "over")

                  for failed in [ waiting; revision; log.Progress.WaitForIndexAsync(9L, CancellationToken.None).AsTask() ] do
                      let! cause = failure failed
                      Expect.equal cause.Message "over" "the reason"
              } ]

let tests = testList "GroupLog" [ reading ]
