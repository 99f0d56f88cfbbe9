module Regatta.Raft.Tests.LogStoreTests

open System
open System.IO
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.StoredEntries

let private rounds =
    testList
        "rounds"
        [ taskCase "what was synced is there after reopening, group by group"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              do! fill store 5L 20 100
                              do! fill store 9L 3 5000
                          })

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              Expect.sequenceEqual (store.Groups()) [ 5L; 9L ] "the groups"
                              Expect.equal (scan store 5L) [ for i in 1..20 -> int64 i, 3L, payload i 100 ] "entries of group 5"
                              Expect.equal (scan store 9L) [ for i in 1..3 -> int64 i, 3L, payload i 5000 ] "entries of group 9"
                              Expect.equal (store.ReadHardState 5L) (Nullable(HardState(3L, Nullable(), 0L, 0L))) "hard state"
                              Expect.isFalse (store.ReadHardState(6L).HasValue) "a group that was never here"
                          })
              }

          taskCase "everything that waits goes to disk in one round, whatever the number of groups"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use failStop = new FailStop()
                  let gate = WriteGate()
                  use store = openStore directory.Path failStop (Some gate)
                  use _ = gate.OpenAtEnd()
                  gate.Close()
                  let first = enqueue store [ LogOp.Put(1L, 1L, sealedRecord 1L 1L 1L [||]) ]
                  do! soon gate.Reached

                  let others = [| for group in 2L .. 100L -> enqueue store [ LogOp.Put(group, 1L, sealedRecord group 1L 1L [||]) ] |]

                  Expect.isFalse (others |> Array.exists _.IsCompleted) "nothing is acknowledged before its sync"
                  gate.Open()
                  do! soon first
                  do! soon (Task.WhenAll others)
                  Expect.equal gate.Rounds 2 "one round for the first, one for the 99 that came meanwhile"
                  Expect.equal (store.Groups().Count) 100 "all groups"
              }

          taskCase "a deletion and the records that replace it take effect in their order"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              do! fill store 1L 10 10

                              do! soon (enqueue store [ LogOp.Delete(1L, 5L, 10L); LogOp.Put(1L, 5L, sealedRecord 1L 5L 4L [| 5uy |]) ])
                          })

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              let expected = [ for i in 1..4 -> int64 i, 3L, payload i 10 ] @ [ 5L, 4L, [| 5uy |] ]
                              Expect.equal (scan store 1L) expected "the old tail is gone, the new entry is there"
                          })
              }

          taskCase "a dropped group leaves nothing behind and its neighbours alone"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              for group in [ 1L; 2L; 3L ] do
                                  do! fill store group 5 10

                              do! soon (store.DropAsync 2L)
                          })

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              Expect.sequenceEqual (store.Groups()) [ 1L; 3L ] "groups"
                              Expect.equal (scan store 2L) [] "entries of the dropped group"
                              Expect.equal (scan store 3L).Length 5 "entries of its neighbour"
                          })
              }

          taskCase "closing writes what is queued"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use failStop = new FailStop()
                  let gate = WriteGate()
                  let store = openStore directory.Path failStop (Some gate)
                  gate.Close()
                  let first = enqueue store [ LogOp.Put(1L, HardState(1L, Nullable(), 0L, 0L)) ]
                  do! soon gate.Reached
                  let second = enqueue store [ LogOp.Put(1L, 1L, sealedRecord 1L 1L 1L [||]) ]
                  let closing = Task.Run store.Dispose
                  gate.Open()
                  do! soon closing
                  do! soon first
                  do! soon second
                  let late = enqueue store [ LogOp.Put(1L, 2L, sealedRecord 1L 2L 1L [||]) ]
                  Expect.isTrue late.IsFaulted "nothing can be queued any more"
                  do! withStore directory.Path (fun store -> task { Expect.equal (scan store 1L).Length 1 "entries" })
              } ]

let private failing =
    testList
        "a failed write"
        [ taskCase "fails everything that waits and everything later, and stops the node once"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use failStop = new FailStop()
                  let gate = WriteGate()
                  let store = openStore directory.Path failStop (Some gate)
                  do! fill store 1L 3 10
                  gate.Close()
                  let held = enqueue store [ LogOp.Put(1L, 4L, sealedRecord 1L 4L 3L [||]) ]
                  do! soon gate.Reached
                  let queued = enqueue store [ LogOp.Put(2L, 1L, sealedRecord 2L 1L 3L [||]) ]
                  gate.Fail(IOException "no sync for you")
                  let! cause = soonResult failStop.Failure
                  Expect.stringContains cause directory.Path "names the directory"
                  Expect.stringContains cause "no sync for you" "names the cause"

                  for waiting in [ held; queued ] do
                      do! ended waiting
                      Expect.isTrue waiting.IsFaulted "what waited has failed"

                  let late = enqueue store [ LogOp.Put(1L, 5L, sealedRecord 1L 5L 3L [||]) ]
                  Expect.isTrue late.IsFaulted "what comes later fails at once"
                  failStop.Trigger "something else"
                  Expect.equal failStop.Cause cause "the first cause stays"
                  store.Dispose()

                  do!
                      withStore directory.Path (fun store ->
                          task { Expect.equal (scan store 1L).Length 3 "what was acknowledged is there" })
              }

          taskCase "gives its bytes back to the budget"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use failStop = new FailStop()
                  let gate = WriteGate()
                  use store = openStore directory.Path failStop (Some gate)
                  use _ = gate.OpenAtEnd()
                  let record = sealedRecord 1L 1L 1L (payload 1 1000)
                  do! store.Budget.TakeAsync(int64 record.Length, Threading.CancellationToken.None)
                  Expect.equal store.Budget.Taken (int64 record.Length) "taken"
                  gate.Fail(IOException "no")
                  let doomed = enqueue store [ LogOp.Put(1L, 1L, record) ]
                  do! ended doomed
                  let! _ = soonResult failStop.Failure
                  store.Dispose()
                  Expect.equal store.Budget.Taken 0L "given back"
              } ]

let tests = testList "RaftLogStore" [ rounds; failing ]
