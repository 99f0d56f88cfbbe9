/// How long an election takes when one of the members stands still.
module Regatta.Raft.Tests.ElectionTests

open System
open System.Threading
open System.Threading.Tasks
open DotNext.Net.Cluster
open DotNext.Net.Cluster.Consensus.Raft
open Expecto
open Microsoft.Extensions.Time.Testing
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.Puppets

/// A member that answers nothing, and of which nothing was heard for so long.
let private member3 (silence: TimeSpan) (time: TimeProvider) =
    let peer =
        { new IPeer with
            member _.NodeId = 3L
            member _.IsConnected = true
            member _.Silence = silence
            member _.CallAsync(_, _, _, token) = never token }

    let options = GroupOptions()
    let nobody = Func<GroupMember | null>(fun () -> null)
    let context = MemberContext(Unchecked.defaultof<EntryLog>, 3, nobody, (fun () -> false), (fun () -> ()), options, time)
    new GroupMember(7L, 3L, peer, context) :> IRaftClusterMember, options

let private preVote (asked: IRaftClusterMember) = asked.PreVoteAsync(1L, 1L, 1L, CancellationToken.None)

let tests =
    testList
        "Elections"
        [ taskCase "who has heard of no leader for the shortest time-out votes, however long it would have waited itself"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  let patient =
                      GroupOptions(
                          ElectionTimeout = TimeSpan.FromMilliseconds 100.,
                          MaxElectionTimeout = TimeSpan.FromMinutes 1.,
                          HeartbeatInterval = TimeSpan.FromMilliseconds 20.
                      )

                  use stage = new Stage(directory.Path, 3, patient)
                  let unwilling = { willing with Vote = (fun _ -> Task.FromResult false) }
                  stage.Plays(2L, unwilling)
                  stage.Plays(3L, unwilling)
                  do! stage.Start()
                  let! _ = stage.Append(3L, 1L, (0L, 0L), 0L, [])
                  let question = VoteRequest(2L, 5L, 1L, false)
                  let mutable granted = false

                  let asks =
                      task {
                          while not granted do
                              let! reply = stage.Hears(2L, PeerMethod.PreVote, RaftMessages.Encode &question)
                              let struct (_, answer) = RaftMessages.DecodeVoteReply reply
                              granted <- answer = int64 PreVoteResult.Accepted
                      }

                  // Two of three members would have drawn more than that.
                  do! asks.WaitAsync(TimeSpan.FromSeconds 20.)
                  let! reply = stage.Hears(2L, PeerMethod.Vote, RaftMessages.Encode &question)
                  let struct (_, vote) = RaftMessages.DecodeVoteReply reply
                  Expect.equal vote 1L "the vote itself, too"
              }

          taskCase "a candidate waits for a member of which nothing is heard no longer than for a heartbeat"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let silent, options = member3 (TimeSpan.FromSeconds 1.) time
                  let asked = preVote silent
                  time.Advance options.HeartbeatInterval
                  let! failed = Task.WhenAny(asked, Task.Delay(TimeSpan.FromMinutes 1., TimeProvider.System))
                  Expect.equal failed asked "its time is over"
                  Expect.throwsT<MemberUnavailableException> (fun () -> asked.GetAwaiter().GetResult() |> ignore) "it counts as not there"
              }

          taskCase "and for one that was heard of a moment ago as long as a vote may take"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let slow, options = member3 TimeSpan.Zero time
                  let asked = preVote slow
                  time.Advance(options.VoteTimeout - TimeSpan.FromMilliseconds 1.)
                  Expect.isFalse asked.IsCompleted "it may be about to sync its vote"
                  time.Advance(TimeSpan.FromMilliseconds 1.)
                  let! failed = Task.WhenAny(asked, Task.Delay(TimeSpan.FromMinutes 1., TimeProvider.System))
                  Expect.equal failed asked "its time is over"
                  Expect.throwsT<MemberUnavailableException> (fun () -> asked.GetAwaiter().GetResult() |> ignore) "it counts as not there"
              } ]
