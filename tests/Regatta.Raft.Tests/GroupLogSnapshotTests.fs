/// What DotNext expects of a log: a snapshot replaces the entries that it stands for.
module Regatta.Raft.Tests.GroupLogSnapshotTests

open Expecto
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupLogEntries

let private snapshots =
    testList
        "a snapshot"
        [ taskCase "is taken only when the state it stands for is on this node's disk"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! soon (log.UpdateTerm 3L)
                  log.Flushed <- 9L
                  let! _ = failure (log.InstallSnapshot(10L, 3L))
                  Expect.equal log.Trail.LastEntryIndex 0L "the log is as it was"
                  log.Flushed <- 10L
                  do! soon (log.InstallSnapshot(10L, 3L))
                  Expect.equal (log.Trail.LastEntryIndex, log.Trail.LastCommittedEntryIndex) (10L, 10L) "the log goes on behind it"
              }

          taskCase "keeps the tail above it when the log holds that very entry"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path)
                          do! soon (log.UpdateTerm 3L)
                          do! soon (log.AppendFromLeader(1L, [ for i in 1L .. 8L -> 3L, payload i ]))
                          log.Flushed <- 5L
                          do! soon (log.InstallSnapshot(5L, 3L))
                          let! given = soonResult (log.Read(6L, 8L))
                          Expect.equal given.Payloads [ for i in 6L .. 8L -> payload i ] "the tail"
                      }

                  use log = new GroupFixture(directory.Path, None, smallLog, appliedAt 5L 3L)
                  Expect.equal (log.Entries.Bounds.First, log.Trail.LastEntryIndex) (6L, 8L) "after a restart"
              }

          taskCase "drops a stale tail above it when the terms do not match"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path)
                          do! soon (log.UpdateTerm 3L)
                          do! soon (log.AppendFromLeader(1L, [ for i in 1L .. 8L -> 3L, payload i ]))
                          do! soon (log.UpdateTerm 4L)
                          log.Flushed <- 5L
                          do! soon (log.InstallSnapshot(5L, 4L))
                          Expect.equal log.Trail.LastEntryIndex 5L "entries 6 to 8 are another history's"
                          do! soon (log.AppendFromLeader(6L, [ 4L, payload 60L ]))
                      }

                  use log = new GroupFixture(directory.Path, None, smallLog, appliedAt 5L 4L)
                  let! given = soonResult (log.Read(6L, 6L))
                  Expect.equal (given.Terms, given.Payloads) ([ 4L ], [ payload 60L ]) "the new history goes on behind the snapshot"
              }

          taskCase "that disagrees with a committed entry is refused"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 3L 8L
                  do! soon (log.UpdateTerm 4L)
                  log.Flushed <- 8L
                  let! _ = failure (log.InstallSnapshot(5L, 4L))
                  Expect.equal log.Trail.LastEntryIndex 8L "nothing was lost"
              } ]

let tests = testList "GroupLog" [ snapshots ]
