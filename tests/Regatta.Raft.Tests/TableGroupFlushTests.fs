/// When a table is flushed, and what that lets go of its log.
module Regatta.Raft.Tests.TableGroupFlushTests

open System
open Expecto
open Microsoft.Extensions.Time.Testing
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.GroupLife

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
                  use life = new Life(directory.Path, disk, GroupOptions(FlushBytes = 65_536L), FakeTimeProvider(), WriteGate())
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

let tests = testList "TableGroup" [ cutting ]
