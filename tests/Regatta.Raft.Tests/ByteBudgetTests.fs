module Regatta.Raft.Tests.ByteBudgetTests

open System.Threading
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures

let private budget =
    testList
        "the budget of bytes"
        [ taskCase "is given in the order of asking, never beyond its limit"
          <| fun () ->
              task {
                  let budget = ByteBudget 100L
                  do! budget.TakeAsync(60L, CancellationToken.None)
                  let large = budget.TakeAsync(50L, CancellationToken.None).AsTask()
                  let small = budget.TakeAsync(10L, CancellationToken.None).AsTask()
                  Expect.isFalse large.IsCompleted "does not fit"
                  Expect.isFalse small.IsCompleted "would fit, but came later"
                  budget.Release 60L
                  do! soon large
                  do! soon small
                  Expect.equal budget.Taken 60L "both are taken"
              }

          taskCase "lets a request through that is larger than the limit when nothing else is taken"
          <| fun () ->
              task {
                  let budget = ByteBudget 100L
                  do! budget.TakeAsync(1000L, CancellationToken.None)
                  let next = budget.TakeAsync(1L, CancellationToken.None).AsTask()
                  Expect.isFalse next.IsCompleted "waits for the large one"
                  budget.Release 1000L
                  do! soon next
              }

          taskCase "forgets who cancels, and serves the next"
          <| fun () ->
              task {
                  let budget = ByteBudget 100L
                  do! budget.TakeAsync(80L, CancellationToken.None)
                  use source = new CancellationTokenSource()
                  let cancelled = budget.TakeAsync(90L, source.Token).AsTask()
                  let next = budget.TakeAsync(20L, CancellationToken.None).AsTask()
                  source.Cancel()
                  do! soon next
                  do! ended cancelled
                  Expect.isTrue cancelled.IsCanceled "cancelled"
                  Expect.equal budget.Taken 100L "only what was granted is taken"
              } ]

let tests = testList "RaftLogStore" [ budget ]
