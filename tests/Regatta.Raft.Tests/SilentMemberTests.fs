/// One of three members never answers a call, and never refuses one: it stands still, or its machine is gone. Nothing ends by time here, so who waits for it waits in vain.
module Regatta.Raft.Tests.SilentMemberTests

open System
open System.Collections.Generic
open System.Threading.Tasks
open DotNext.Net.Cluster.Consensus.Raft
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.Puppets

let private silent = { Vote = (fun _ -> hangs); Append = (fun _ -> hangs) }

/// A follower as Raft has it, with a log of entries of these terms.
let private follower (terms: int64 list) =
    let log = List<int64> terms

    let fits (request: AppendRequest) =
        request.PreviousIndex = 0L
        || (request.PreviousIndex <= int64 log.Count && log[int request.PreviousIndex - 1] = request.PreviousTerm)

    { willing with
        Append =
            fun request ->
                if fits request then
                    let kept = int request.PreviousIndex
                    log.RemoveRange(kept, log.Count - kept)
                    log.AddRange(request.Entries |> Seq.map _.Term)
                    accepts request
                else
                    Task.FromResult(AppendReply(request.Term, HeartbeatResult.Rejected, int64 log.Count)) }

/// As nothing ends by time, but for those who wait for a leader to be confirmed.
let private confirmedSoon (limit: TimeSpan) =
    GroupOptions(
        ElectionTimeout = untimed.ElectionTimeout,
        MaxElectionTimeout = untimed.MaxElectionTimeout,
        HeartbeatInterval = untimed.HeartbeatInterval,
        VoteTimeout = untimed.VoteTimeout,
        AppendTimeout = untimed.AppendTimeout,
        LeaderTimeout = untimed.LeaderTimeout,
        BarrierTimeout = limit,
        FlushBytes = untimed.FlushBytes
    )

let private stage path =
    task {
        let stage = new Stage(path, 3, untimed)
        do! stage.Wrote(3L, [ for _ in 1..5 -> [||] ])
        do! stage.Start()
        return stage
    }

let private writes (stage: Stage) =
    task {
        for number in 1L .. 20L do
            let! revision = put stage.Group $"key{number}" "value"
            Expect.equal revision number "one after the other"
    }

let tests =
    testList
        "A silent member"
        [ for lacks, terms in
              [ "has all but the new leader's first entry", [ 3L; 3L; 3L; 3L; 3L ]
                "lacks entries of the former leader", [ 3L; 3L ]
                "is empty", []
                "holds what was never committed", [ 3L; 3L; 2L; 2L; 2L; 2L; 2L ] ] do
              taskCase $"does not hold up a new leader whose other member {lacks}"
              <| fun () ->
                  task {
                      use directory = new TemporaryDirectory()
                      use! stage = stage directory.Path
                      stage.Plays(2L, follower terms)
                      stage.Plays(3L, silent)
                      do! soon (stage.Leads())
                      do! writes stage
                  }

          taskCase "does not hold up a leader that was there before it fell silent"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use! stage = stage directory.Path
                  stage.Plays(2L, follower [ 3L; 3L; 3L; 3L; 3L ])
                  stage.Plays(3L, follower [ 3L; 3L; 3L; 3L; 3L ])
                  do! soon (stage.Leads())
                  stage.Plays(3L, silent)
                  do! writes stage
                  let! read = barrier stage.Group
                  Expect.isTrue read.Succeeded $"reads are confirmed: {read.Reason}"
              }

          taskCase "does not hold up that leader when the other member was behind by many rounds in that moment"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use! stage = stage directory.Path
                  let goesOn = TaskCompletionSource()
                  let behind = follower [ 3L; 3L; 3L; 3L; 3L ]
                  let mutable messages = 0

                  let slow =
                      { behind with
                          Append =
                              fun request ->
                                  task {
                                      do! goesOn.Task
                                      messages <- messages + 1
                                      return! behind.Append request
                                  } }

                  stage.Plays(2L, slow)
                  stage.Plays(3L, follower [ 3L; 3L; 3L; 3L; 3L ])
                  do! soon (stage.Leads())
                  do! writes stage
                  let asked = TaskCompletionSource()

                  let fallsSilent _ =
                      asked.TrySetResult() |> ignore
                      hangs

                  stage.Plays(3L, { silent with Append = fallsSilent })
                  let late = put stage.Group "late" "value"
                  // The round has begun, and the other one has not had the ones before.
                  do! soon asked.Task
                  goesOn.SetResult()
                  let! revision = soonResult late
                  Expect.equal revision 21L "two of three have it"
                  Expect.isLessThan messages 6 "one message answers all the rounds that had begun before it was sent"
              }

          taskCase "does not hold up that leader when the other member comes back with a new disk and less than it had"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use! stage = stage directory.Path
                  do! soon (stage.Leads())
                  let! _ = put stage.Group "before" "value"
                  stage.Plays(2L, follower [ 3L; 3L; 3L; 3L; 3L ])
                  stage.Plays(3L, silent)
                  let! revision = put stage.Group "after" "value"
                  Expect.equal revision 2L "behind what the others had"
              }

          taskCase "beside another one: a read that is not confirmed in time is told that nobody leads, and not that its caller has gone"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use stage = new Stage(directory.Path, 3, confirmedSoon (TimeSpan.FromMilliseconds 100.))
                  do! stage.Start()
                  do! soon (stage.Leads())
                  stage.Plays(2L, silent)
                  stage.Plays(3L, silent)

                  // The time of who asks and that of the round that he shares are over at once, and either may come first.
                  for attempt in 1..10 do
                      let! read = barrier stage.Group
                      Expect.equal read.Failure GroupFailure.NoLeader $"attempt {attempt}: {read.Reason}"
              } ]
