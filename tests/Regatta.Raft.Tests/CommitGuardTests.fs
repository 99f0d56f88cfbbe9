/// What a leader may hold for committed, whatever the others' answers look like to DotNext: members are played by the test.
module Regatta.Raft.Tests.CommitGuardTests

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

/// Three of these fill a message.
let private megabyte = String('x', 1_200_000)

let private signal () = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

/// A member that is not there until `isBack`; then it takes three messages, and hangs at the next one.
let private laggard (isBack: unit -> bool) (took: unit -> unit) (stuck: TaskCompletionSource) =
    let mutable taken = 0

    { willing with
        Append =
            fun request ->
                if not (isBack ()) then
                    gone 4L
                elif taken = 3 then
                    stuck.TrySetResult() |> ignore
                    hangs
                else
                    taken <- taken + 1
                    took ()
                    accepts request }

/// Members 2 and 3 have everything and member 4 nothing but the first entry, when one more is written. Node 1 and member 2 have that, member 4 answers to a batch that
/// is cut short, and the others have not answered when it does; then they are gone.
let private behind (stage: Stage) (count: int) =
    task {
        let unheard = [ 5L .. int64 count ]
        let playDead = { willing with Append = (fun _ -> gone 0L) }

        for other in 4L :: unheard do
            stage.Plays(other, playDead)

        for number in 1..12 do
            let! _ = put stage.Group $"key{number}" megabyte
            ()

        let committed = stage.Group.Entries.Commit
        let stuck, released = signal (), signal ()

        let absent =
            { willing with
                Append =
                    fun request ->
                        if last request <= committed then
                            accepts request
                        else
                            task {
                                do! released.Task
                                return! gone 0L
                            } }

        // Late enough that the answer has been counted: earlier, nothing would go wrong without the guard either.
        let release () =
            task {
                do! Task.Delay 100
                released.TrySetResult() |> ignore
            }
            |> ignore

        stage.Plays(3L, absent)

        for other in unheard do
            stage.Plays(other, absent)

        // Each of the three messages is cut short: it takes four.
        stage.Plays(4L, laggard (fun () -> stage.Group.Entries.Last > committed) release stuck)

        let write = stage.Group.ProposeAsync(PutCommand(bytes "key", bytes "value", false), CancellationToken.None).AsTask()

        do! soon stuck.Task
        return committed, write
    }

let private median =
    testList
        "with more than three members"
        [ for count in [ 4; 5 ] do
              taskCase $"{count}: a batch cut short commits nothing that less than a majority has"
              <| fun () ->
                  task {
                      use directory = new TemporaryDirectory()
                      use stage = new Stage(directory.Path, count, untimed)
                      do! stage.Start()
                      do! stage.Leads()
                      let! committed, write = behind stage count
                      // It is asked again, so the round that its answer was for is over.
                      Expect.equal stage.Group.Entries.Commit committed "the last write is on two nodes and nowhere else"
                      Expect.isFalse write.IsCompleted "and not acknowledged"
                  } ]

let private ownTerm =
    testList
        "entries of former terms"
        [ taskCase "are not committed by being counted, although a member answers as if they were of this one"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use stage = new Stage(directory.Path, 3, untimed)
                  let payload = Array.zeroCreate<byte> 1_200_000
                  do! stage.Wrote(1L, [ for _ in 1..9 -> payload ])
                  do! stage.Start()
                  let stuck = signal ()
                  let mutable taken = 0

                  // Empty at first. DotNext's follower says of every batch that it holds an entry of the leader's term, once that was so.
                  let empty =
                      { willing with
                          Append =
                              fun request ->
                                  if taken = 0 && request.PreviousIndex > 0L then
                                      Task.FromResult(AppendReply(request.Term, HeartbeatResult.Rejected, 0L))
                                  elif taken = 2 then
                                      stuck.TrySetResult() |> ignore
                                      hangs
                                  else
                                      taken <- taken + 1
                                      accepts request }

                  stage.Plays(2L, empty)
                  stage.Plays(3L, { willing with Append = (fun _ -> gone 3L) })
                  let! _ = stage.Hears(2L, PeerMethod.Campaign, [||])
                  do! soon stuck.Task
                  Expect.isGreaterThan stage.Group.Term 1L "it leads in another term"
                  Expect.equal stage.Group.Entries.Commit 0L "another leader may still replace them (figure 8 of the Raft paper)"
              }

          taskCase "are reported as of the leader's by DotNext's follower, which is why its word is not taken"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use stage = new Stage(directory.Path, 3, untimed)
                  do! stage.Start()
                  let! first = stage.Append(2L, 1L, (0L, 0L), 0L, [ 1L, [| 1uy |] ])
                  Expect.equal first.Result HeartbeatResult.ReplicatedWithLeaderTerm "rightly"
                  let! second = stage.Append(3L, 2L, (1L, 1L), 0L, [ 1L, [| 2uy |] ])

                  Expect.equal
                      second.Result
                      HeartbeatResult.ReplicatedWithLeaderTerm
                      "wrongly: once true, it stays so. When this fails DotNext has been mended, and the guard in GroupMember is no longer needed for it"
              } ]

let tests = testSequenced (testList "Commit" [ median; ownTerm ])
