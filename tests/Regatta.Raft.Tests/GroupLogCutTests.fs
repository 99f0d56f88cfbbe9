/// What goes when a log is cut, and what is left.
module Regatta.Raft.Tests.GroupLogCutTests

open System
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupLogEntries

let private cutting =
    testList
        "cutting"
        [ taskCase "never goes above the commit index"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 5L
                  let! _ = soonResult (log.AppendAsLeader(1L, payload 6L))
                  Expect.throws (fun () -> log.Entries.CutAsync(6L, 0L) |> ignore) "entry 6 is not committed"
                  Expect.equal log.Entries.Bounds.First 1L "nothing was cut"
              }

          taskCase "deletes entries and remembers the cut in one round"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path, Some gate)
                          do! committed log 2L 8L
                          let before = gate.Rounds
                          do! soon (log.Entries.CutAsync(5L, 0L))
                          Expect.equal gate.Rounds (before + 1) "one round"
                          do! soon (log.Entries.CutAsync(5L, 0L))
                          do! soon (log.Entries.CutAsync(4L, 0L))
                          Expect.equal gate.Rounds (before + 1) "nothing more to cut"
                          Expect.equal log.Entries.Bounds.First 6L "first entry"
                      }

                  use failStop = new FailStop()
                  use store = openStore (directory.Sub "log") failStop None
                  let left = ResizeArray()

                  store.Scan(
                      7L,
                      1L,
                      Int64.MaxValue - 1L,
                      (fun index _ ->
                          left.Add index
                          true)
                  )

                  Expect.sequenceEqual left [ 6L; 7L; 8L ] "entries on disk"
                  let hard = store.ReadHardState(7L).Value
                  Expect.equal (hard.CutIndex, hard.CutTerm) (5L, 2L) "the cut"
              }

          taskCase "leaves the bytes that were asked for"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! soon (log.UpdateTerm 1L)

                  for index in 1L .. 100L do
                      let! _ = soonResult (log.AppendAsLeader(1L, large index 20_000))
                      ()

                  let! _ = soonResult (log.Commit 100L)
                  do! soon (log.Entries.CutAsync(80L, 500_000L))
                  let left = 80L - log.Entries.Bounds.First + 1L
                  Expect.isGreaterThanOrEqual (left * 20_000L) 500_000L "at least so many bytes below the flushed index"
                  Expect.isLessThan (left * 20_000L) 700_000L "and not many more"
              }

          taskCase "an empty log has no bytes"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 5L
                  Expect.isGreaterThan log.Entries.Bounds.Bytes 0L "five entries"
                  Expect.isGreaterThan (log.Entries.BytesAfter 4L) 0L "behind the fourth"
                  Expect.equal (log.Entries.BytesAfter 5L) 0L "behind the last"
                  do! soon (log.Entries.CutAsync(5L, 0L))
                  Expect.equal log.Entries.Bounds.Bytes 0L "none"
              } ]

let tests = testList "GroupLog" [ cutting ]
