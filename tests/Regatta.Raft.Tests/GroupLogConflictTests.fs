/// What DotNext expects of a log: which entries replace others, and which are refused.
module Regatta.Raft.Tests.GroupLogConflictTests

open System
open System.Threading
open DotNext.IO.Log
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupLogEntries

let private appending =
    testList
        "appending"
        [ taskCase "a late message does not truncate where terms match"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! soon (log.UpdateTerm 1L)
                  do! soon (log.AppendFromLeader(1L, [ for i in 1L .. 5L -> 1L, payload i ]))
                  do! soon (log.AppendFromLeader(2L, [ 1L, payload 2L; 1L, payload 3L ]))
                  Expect.equal log.Trail.LastEntryIndex 5L "entries 4 and 5 stay"
                  let! given = soonResult (log.Read(1L, 5L))
                  Expect.equal given.Payloads [ for i in 1L .. 5L -> payload i ] "all as they were"
              }

          taskCase "an entry of another term replaces the tail, in one round"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path, Some gate)
                          do! soon (log.UpdateTerm 1L)
                          do! soon (log.AppendFromLeader(1L, [ for i in 1L .. 5L -> 1L, payload i ]))
                          do! soon (log.UpdateTerm 2L)
                          let before = gate.Rounds
                          do! soon (log.AppendFromLeader(3L, [ 1L, payload 3L; 2L, payload 40L ]))
                          Expect.equal gate.Rounds (before + 1) "the truncation and the new entry went together"
                          Expect.equal log.Trail.LastEntryIndex 4L "entry 5 is gone"
                      }

                  use log = new GroupFixture(directory.Path, None)
                  let! given = soonResult (log.Read(1L, 4L))
                  Expect.equal given.Terms [ 1L; 1L; 1L; 2L ] "terms after reopening"
                  Expect.equal given.Payloads [ payload 1L; payload 2L; payload 3L; payload 40L ] "entries after reopening"
              }

          taskCase "a replaced proposal's callers are told that it is lost"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! soon (log.UpdateTerm 1L)
                  let waiters = Waiters()
                  let entry = ProposedEntry(1L, ReadOnlyMemory(payload 1L), waiters)
                  let! _ = soonResult (log.Trail.AppendAsync(entry, CancellationToken.None).AsTask())
                  Expect.isTrue entry.IsInLog "in the log"
                  do! soon (log.UpdateTerm 2L)
                  do! soon (log.AppendFromLeader(1L, [ 2L, payload 9L ]))
                  Expect.equal waiters.Told [ "lost" ] "told once"
              }

          taskCase "a committed entry is never replaced"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  do! soon (log.UpdateTerm 2L)
                  do! soon (log.AppendFromLeader(2L, [ 2L, payload 90L; 2L, payload 91L ]))
                  let! given = soonResult (log.Read(1L, 3L))
                  Expect.equal given.Terms [ 1L; 1L; 1L ] "what was committed stays; skipping it is what was asked for"

                  let strict =
                      log.Trail
                          .AppendAsync(
                              new LogEntryProducer<Entry>([| Entry(2L, payload 9L) |]) :> ILogEntryProducer<Entry>,
                              2L,
                              false,
                              CancellationToken.None
                          )
                          .AsTask()

                  let! cause = failure strict
                  Expect.stringContains cause.Message "committed" "refused where skipping was not asked for"
              }

          taskCase "a gap is refused and leaves the log as it was"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  let! _ = failure (log.AppendFromLeader(5L, [ 1L, payload 5L ]))
                  Expect.equal log.Trail.LastEntryIndex 3L "last index"
                  Expect.equal log.Store.Budget.Taken 0L "no room is kept"
              }

          taskCase "entries whose terms go back, or are above the group's, are refused"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 2L 3L
                  let! _ = failure (log.AppendFromLeader(4L, [ 1L, payload 4L ]))
                  let! _ = failure (log.AppendFromLeader(4L, [ 3L, payload 4L ]))
                  Expect.equal log.Trail.LastEntryIndex 3L "last index"
                  Expect.equal log.Store.Budget.Taken 0L "no room is kept"
              }

          taskCase "an entry before the first term is refused: a group with entries always has a record of its term"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  let! _ = failure (log.AppendFromLeader(1L, [ 0L, payload 1L ]))
                  let! _ = failure (log.AppendAsLeader(0L, payload 1L))
                  Expect.equal log.Trail.LastEntryIndex 0L "nothing was appended"
                  Expect.equal log.Store.Budget.Taken 0L "no room is kept"
              }

          taskCase "a proposal of a term that is over is refused, and nothing happened"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 2L 1L
                  let entry = ProposedEntry(1L, ReadOnlyMemory(payload 1L), Waiters())
                  let! cause = failure (log.Trail.AppendAsync(entry, CancellationToken.None).AsTask())
                  Expect.isTrue (cause :? StaleTermException) "the reason"
                  Expect.isFalse entry.IsInLog "not in the log"
                  Expect.equal log.Trail.LastEntryIndex 1L "last index"
              } ]

let tests = testList "GroupLog" [ appending ]
