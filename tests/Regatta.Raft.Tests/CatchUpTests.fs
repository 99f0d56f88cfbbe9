/// How a member that lags gets what it lacks, and how an election goes on without those who do not answer.
module Regatta.Raft.Tests.CatchUpTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open DotNext.Net.Cluster.Consensus.Raft
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.Puppets

let private signal () = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

/// A member with a log: it takes what follows it, and refuses what does not.
type private Faithful(first: int64, reached: int64 -> unit) =
    let mutable last = first
    let mutable calls = 0
    member _.Calls = Volatile.Read &calls

    member member'.Part =
        { willing with
            Append =
                fun request ->
                    Interlocked.Increment &calls |> ignore

                    if request.PreviousIndex > last then
                        Task.FromResult(AppendReply(request.Term, HeartbeatResult.Rejected, last))
                    else
                        last <- max last (Puppets.last request)
                        reached last
                        accepts request }

let private lagging =
    testList
        "a member that lags"
        [ taskCase "gets one message after the other, and not one per heartbeat"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use stage = new Stage(directory.Path, 3, untimed)
                  let payload = Array.zeroCreate<byte> 1_200_000
                  do! stage.Wrote(1L, [ for _ in 1..30 -> payload ])
                  do! stage.Start()
                  let whole = signal ()
                  let late = Faithful(0L, (fun last -> if last >= 31L then whole.TrySetResult() |> ignore))
                  stage.Plays(2L, late.Part)
                  do! stage.Leads()
                  do! soon whole.Task
                  // The first is refused, three entries of 1.2 MB go into each of the others.
                  Expect.isLessThan late.Calls 20 "about as many messages as it takes"
              }

          taskCase "is asked for an earlier entry at once when it refuses a message"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use stage = new Stage(directory.Path, 3, untimed)
                  do! stage.Wrote(1L, [ for number in 1..40 -> [| byte number |] ])
                  do! stage.Start()
                  let found = signal ()

                  // Its log is as long, but agrees up to the tenth entry only: DotNext goes back one by one.
                  let apart =
                      { willing with
                          Append =
                              fun request ->
                                  if request.PreviousIndex > 10L then
                                      Task.FromResult(AppendReply(request.Term, HeartbeatResult.Rejected, 40L))
                                  else
                                      found.TrySetResult() |> ignore
                                      accepts request }

                  stage.Plays(2L, apart)
                  do! stage.Leads()
                  do! soon found.Task
              } ]

let private behindACut =
    testList
        "a member whose log is cut"
        [ taskCase "takes what follows its cut, although the leader begins below it"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use stage = new Stage(directory.Path, 3, untimed)
                  do! stage.Start()
                  let nothing: byte array = [||]
                  let! _ = stage.Append(2L, 1L, (0L, 0L), 0L, [ for _ in 1..3 -> 1L, nothing ])
                  let! _ = stage.Append(2L, 2L, (3L, 1L), 6L, [ for _ in 1..3 -> 2L, nothing ])
                  do! soon (stage.Applied 6L)
                  do! soon (stage.Group.MaintainAsync())
                  Expect.equal stage.Group.Entries.Bounds.First 7L "cut behind the sixth, which is of term 2"
                  // Another leader has a log from the third on, and believes that this member ends at the second.
                  let! reply = stage.Append(3L, 3L, (2L, 1L), 6L, [ 1L, nothing; 2L, nothing; 2L, nothing; 2L, nothing; 3L, nothing ])
                  Expect.notEqual reply.Result HeartbeatResult.Rejected "what is committed is the same everywhere"
                  Expect.equal stage.Group.Entries.Last 7L "the rest follows"
                  let! below = stage.Append(3L, 3L, (2L, 1L), 7L, [ 1L, nothing; 2L, nothing ])
                  Expect.notEqual below.Result HeartbeatResult.Rejected "all of it is here already"
                  let! beat = stage.Append(3L, 3L, (2L, 1L), 7L, [])
                  Expect.notEqual beat.Result HeartbeatResult.Rejected "a heartbeat, too"
                  Expect.equal stage.Group.Entries.Last 7L "nothing is lost by it"
              } ]

let private elections =
    testList
        "an election"
        [ for count in [ 3; 5 ] do
              taskCase $"among {count} does not wait for a minority that does not answer"
              <| fun () ->
                  task {
                      use directory = new TemporaryDirectory()
                      use stage = new Stage(directory.Path, count, untimed)

                      for silent in int64 (count - count / 2) + 1L .. int64 count do
                          stage.Plays(silent, { Vote = (fun _ -> hangs); Append = (fun _ -> hangs) })

                      do! stage.Start()
                      do! soon (stage.Leads())
                      let! _ = put stage.Group "key" "value"
                      ()
                  } ]

let tests = testSequenced (testList "Catching up" [ lagging; behindACut; elections ])
