/// How a group starts, and how it stops.
module Regatta.Raft.Tests.TableGroupLifecycleTests

open System
open System.Text
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Testing.Tables
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.GroupLife

/// All records of a state.
let private rowsOf state =
    use view = (storeOf state :> ITableStore).OpenView()
    use cursor = view.Scan(KeyRange.From(ReadOnlyMemory [||]))
    let rows = ResizeArray()

    while cursor.MoveNext() do
        rows.Add(Encoding.UTF8.GetString cursor.Key, cursor.Header, Encoding.UTF8.GetString cursor.Value)

    List.ofSeq rows

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
                  Expect.equal outcome.Failure GroupFailure.None $"what was in the log: {outcome.Reason}"
                  let! late = propose group "c" "3"
                  Expect.equal late.Failure GroupFailure.Stopped "who comes late"
                  let! confirmed = barrier group
                  Expect.equal confirmed.Failure GroupFailure.Stopped "no barrier"
                  do! soon (group.DisposeAsync().AsTask())
              } ]

let tests = testList "TableGroup" [ replay; stopping ]
