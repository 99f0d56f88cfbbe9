/// How long a leader waits for a member that does not answer.
module Regatta.Raft.Tests.AppendDeadlineTests

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

/// Member 2 of three. Nothing was heard of it since the moment that a test says.
type private Member() =
    let options = GroupOptions()
    let time = FakeTimeProvider()
    let mutable heard = time.GetTimestamp()
    let mutable calls = 0
    let mutable answer: (CancellationToken -> Task<ReadOnlyMemory<byte>>) = never

    let peer =
        { new IPeer with
            member _.NodeId = 2L
            member _.IsConnected = true
            member _.Silence = time.GetElapsedTime heard

            member _.CallAsync(_, _, _, token) =
                calls <- calls + 1
                answer token }

    let nobody = Func<GroupMember | null>(fun () -> null)
    let context = MemberContext(Unchecked.defaultof<EntryLog>, 3, nobody, (fun () -> false), (fun () -> ()), options, time)
    let asked = new GroupMember(7L, 2L, peer, context)
    member _.Options = options
    member _.Calls = calls
    member _.IsHeard() = heard <- time.GetTimestamp()

    member _.Answers() =
        let reply = AppendReply(1L, HeartbeatResult.ReplicatedWithLeaderTerm, 0L)
        answer <- fun _ -> Task.FromResult(ReadOnlyMemory(RaftMessages.Encode &reply))

    /// Time goes by in steps, as it does, so that whoever looks now and then does look.
    member _.Wait(duration: TimeSpan) =
        let step = TimeSpan.FromMilliseconds 10.

        for _ in 1 .. int (duration / step) do
            time.Advance step

    member _.Beat(token) = (asked :> IRaftClusterMember).AppendEntriesAsync<Entry, Entry array>(1L, [||], 0L, 1L, 0L, token)
    member member'.Beat() = member'.Beat CancellationToken.None

    interface IDisposable with
        member _.Dispose() = asked.Dispose()

let private isNotThere (beat: Task<Result<ReplicationStatus>>) =
    task {
        let! ended = Task.WhenAny(beat, Task.Delay(TimeSpan.FromMinutes 1., TimeProvider.System))
        Expect.equal ended beat "nobody waits for it any more"
        Expect.throwsT<MemberUnavailableException> (fun () -> beat.GetAwaiter().GetResult() |> ignore) "it counts as not there"
    }

let private moment = TimeSpan.FromMilliseconds 10.

let tests =
    testList
        "The deadline of an append"
        [ taskCase "a member of which nothing is heard is waited for as long as others wait for a leader"
          <| fun () ->
              task {
                  use silent = new Member()
                  let beat = silent.Beat()
                  silent.Wait(silent.Options.MaxElectionTimeout - moment)
                  Expect.isFalse beat.IsCompleted "it may be about to answer"
                  silent.Wait moment
                  do! isNotThere beat
              }

          taskCase "one that gives signs of life is waited for as long as a slow disk may take"
          <| fun () ->
              task {
                  use slow = new Member()
                  let beat = slow.Beat()

                  for _ in 1 .. int ((slow.Options.AppendTimeout - moment) / moment) do
                      slow.IsHeard()
                      slow.Wait moment

                  Expect.isFalse beat.IsCompleted "it may be about to answer"
                  slow.Wait moment
                  do! isNotThere beat
              }

          taskCase "one that fell silent is not called until something is heard of it"
          <| fun () ->
              task {
                  use silent = new Member()
                  let first = silent.Beat()
                  silent.Wait silent.Options.MaxElectionTimeout
                  do! isNotThere first
                  do! isNotThere (silent.Beat())
                  Expect.equal silent.Calls 1 "its rounds would only queue"
                  silent.IsHeard()
                  silent.Answers()
                  let! answer = soonResult (silent.Beat())
                  Expect.equal answer.Value.Result HeartbeatResult.ReplicatedWithLeaderTerm "it is back"
                  Expect.equal silent.Calls 2 "it was called"
              }

          taskCase "each message has its time to itself, however many came before"
          <| fun () ->
              task {
                  use alive = new Member()
                  alive.Answers()

                  for _ in 1..5 do
                      alive.IsHeard()
                      let! _ = soonResult (alive.Beat())
                      alive.Wait(alive.Options.MaxElectionTimeout - moment)

                  use falls = new Member()
                  falls.Answers()
                  let! _ = soonResult (falls.Beat())
                  falls.Wait(falls.Options.MaxElectionTimeout * 3.)
                  // Idle for long: that is no silence that this message has met with.
                  falls.Answers()
                  let! answer = soonResult (falls.Beat())
                  Expect.equal answer.Value.Result HeartbeatResult.ReplicatedWithLeaderTerm "it is asked"
              }

          taskCase "who stops leading does not wait"
          <| fun () ->
              task {
                  use silent = new Member()
                  use stop = new CancellationTokenSource()
                  let beat = silent.Beat stop.Token
                  stop.Cancel()
                  let! _ = Task.WhenAny(beat, Task.Delay(TimeSpan.FromMinutes 1., TimeProvider.System))

                  let cancelled =
                      try
                          beat.GetAwaiter().GetResult() |> ignore
                          None
                      with :? OperationCanceledException as e ->
                          Some e.CancellationToken

                  Expect.equal cancelled (Some stop.Token) "DotNext knows it by its token"
                  use again = new CancellationTokenSource()
                  let next = silent.Beat again.Token
                  Expect.isFalse next.IsCompleted "the next leadership has a deadline of its own"
                  again.Cancel()
              } ]
