/// What a reader of a group is promised.
module Regatta.Raft.Tests.TableGroupReadTests

open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.GroupLife

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
                  do! ended never
                  Expect.isTrue never.IsCanceled "who cancels is let go"
              } ]

let tests = testList "TableGroup" [ linearizable ]
