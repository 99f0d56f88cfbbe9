module Regatta.Raft.Tests.BarrierTests

open System
open System.Collections.Concurrent
open System.Reflection
open System.Threading
open System.Threading.Tasks
open DotNext.Net.Cluster.Consensus.Raft
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures

/// Rounds that the test ends by hand, in the order in which they begin.
type private Rounds() =
    let begun = new BlockingCollection<TaskCompletionSource<BarrierOutcome>>()

    let barrier =
        ReadBarrier(fun () ->
            let round = TaskCompletionSource<BarrierOutcome>(TaskCreationOptions.RunContinuationsAsynchronously)
            begun.Add round
            round.Task)

    member _.Wait(token: CancellationToken) = barrier.WaitAsync(token).AsTask()
    member rounds.Wait() = rounds.Wait CancellationToken.None

    /// Rounds that have begun and were not ended.
    member _.Open = begun.Count

    /// Waits for the next round to begin, and ends it.
    member _.End(outcome: BarrierOutcome) =
        let mutable round = Unchecked.defaultof<TaskCompletionSource<BarrierOutcome>>

        if begun.TryTake(&round, patience) then round.SetResult outcome else failtest "no round began"

let private good = BarrierOutcome()

/// What DotNext's readers wait at for a round: its field is private, its type is not public.
let private valve =
    let kind =
        typeof<RaftCluster<GroupMember>>.Assembly.GetType("DotNext.Threading.SingleProducerMultipleConsumersCoordinator", true)
        |> nonNull

    let all = BindingFlags.Instance ||| BindingFlags.NonPublic ||| BindingFlags.Public
    let coordinator = Activator.CreateInstance(kind, true)

    let call (name: string) (arguments: obj array) =
        let types = arguments |> Array.map _.GetType()
        (nonNull (kind.GetMethod(name, all, types))).Invoke(coordinator, arguments)

    {| Begins = (fun () -> call "SwitchValve" [||] |> ignore)
       Asks = (fun (side: uint) -> call "AcquireAsync" [| side; CancellationToken.None |] |> unbox<ValueTask>) |}

let private dotNext =
    testList
        "Confirming leadership"
        [ testCase "DotNext lets who looked at the valve before a round began, and asks after that, through without any round"
          <| fun () ->
              let side = 0u
              valve.Begins()
              Expect.isTrue (valve.Asks side).IsCompleted "when it no longer does, ConfirmLeadershipAsync need not ask again"

          taskCase "who is let through without waiting asks again"
          <| fun () ->
              task {
                  let round = TaskCompletionSource()
                  let mutable asked = 0

                  let ask () =
                      asked <- asked + 1
                      if asked < 3 then ValueTask.CompletedTask else ValueTask round.Task

                  let confirmed = ConsensusGroup.WaitForOneAsync(ask).AsTask()
                  Expect.isFalse confirmed.IsCompleted "no round has been waited for"
                  Expect.equal asked 3 "until there is one"
                  round.SetResult()
                  do! soon confirmed
                  Expect.equal asked 3 "one is enough"
              } ]

let private barriers =
    testList
        "ReadBarrier"
        [ taskCase "who comes while a round runs waits for the next one, together with all others"
          <| fun () ->
              task {
                  let rounds = Rounds()
                  let first = rounds.Wait()
                  Expect.equal rounds.Open 1 "starts at once"
                  let others = [| for _ in 1..100 -> rounds.Wait() |]
                  Expect.equal rounds.Open 1 "they wait for the running one to end"
                  rounds.End(good)
                  let! outcome = soonResult first
                  Expect.isTrue outcome.Succeeded "the first"
                  Expect.isFalse (others |> Array.exists _.IsCompleted) "that round began before they asked: it does not speak for them"
                  rounds.End(good)
                  let! outcomes = soonResult (Task.WhenAll others)
                  Expect.isTrue (outcomes |> Array.forall _.Succeeded) "all others"
                  Expect.equal rounds.Open 0 "one round for a hundred"
              }

          taskCase "a failed round is everybody's failure, and the next round is tried"
          <| fun () ->
              task {
                  let rounds = Rounds()
                  let first = rounds.Wait()
                  rounds.End(BarrierOutcome(GroupFailure.NoLeader, "nobody"))
                  let! outcome = soonResult first
                  Expect.equal outcome.Failure GroupFailure.NoLeader "failed"
                  let second = rounds.Wait()
                  rounds.End(good)
                  let! outcome = soonResult second
                  Expect.isTrue outcome.Succeeded "the next one"
              }

          taskCase "a round that throws is a failure, not the end of all rounds"
          <| fun () ->
              task {
                  let mutable calls = 0

                  let barrier =
                      ReadBarrier(fun () ->
                          if Interlocked.Increment &calls = 1 then raise (InvalidOperationException "a bug") else Task.FromResult good)

                  let! outcome = soonResult (barrier.WaitAsync(CancellationToken.None).AsTask())
                  Expect.equal outcome.Failure GroupFailure.NoLeader "failed"
                  let! outcome = soonResult (barrier.WaitAsync(CancellationToken.None).AsTask())
                  Expect.isTrue outcome.Succeeded "the next one"
              }

          taskCase "who cancels is let go, and the round goes on for the others"
          <| fun () ->
              task {
                  let rounds = Rounds()
                  use source = new CancellationTokenSource()
                  let cancelled = rounds.Wait source.Token
                  source.Cancel()
                  let! outcome = soonResult cancelled
                  Expect.equal outcome.Failure GroupFailure.Cancelled "cancelled"
                  let other = rounds.Wait()
                  rounds.End(good)
                  rounds.End(good)
                  let! outcome = soonResult other
                  Expect.isTrue outcome.Succeeded "the other one"
              } ]

let tests = testList "Barriers" [ barriers; dotNext ]
