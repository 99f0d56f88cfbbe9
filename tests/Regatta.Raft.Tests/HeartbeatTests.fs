/// What a leader that has nothing to send tells the others, in one message for all of its groups.
module Regatta.Raft.Tests.HeartbeatTests

open System
open System.Collections.Concurrent
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.Puppets
open Regatta.Raft.Tests.SiteLife

let private clock = TimeProvider.System
let private later (time: TimeSpan) = clock.GetTimestamp() + int64 (time.TotalSeconds * float clock.TimestampFrequency)

/// Both others have been told of the last entry, and nothing is on its way: that it is committed says so of one of them only.
let private hasAllAnswers (stage: Stage) (told: ConcurrentDictionary<int64, int64>) =
    [ 2L; 3L ]
    |> List.forall (fun node ->
        told.TryGetValue node = (true, stage.Group.Entries.Last)
        && stage.Group.HeartbeatFor(node, later untimed.HeartbeatInterval).HasValue)

/// Node 1 leads and has committed a write, and both others have answered; each message that node 2 gets from then on is told.
let private leading (test: Stage -> (unit -> Task) -> Task<unit>) () =
    task {
        use directory = new TemporaryDirectory()
        use stage = new Stage(directory.Path, 3, untimed)
        do! stage.Wrote(3L, [ [||] ])
        do! stage.Start()
        Expect.isFalse (stage.Group.Tend(clock.GetTimestamp())) "it does not lead yet"
        do! stage.Leads()
        let told = ConcurrentDictionary<int64, int64>()

        for node in [ 2L; 3L ] do
            let hears request =
                told[node] <- last request
                accepts request

            stage.Plays(node, { willing with Append = hears })

        let! _ = put stage.Group "key" "value"

        while not (hasAllAnswers stage told) do
            do! Task.Delay 1

        let next = ref (TaskCompletionSource())

        let hears request =
            next.Value.TrySetResult() |> ignore
            accepts request

        stage.Plays(2L, { willing with Append = hears })

        let round () =
            next.Value <- TaskCompletionSource()
            next.Value.Task

        do! test stage round
    }

let private group = 7L
let private beatOf (stage: Stage) = Heartbeat(group, stage.Group.Term, stage.Group.Entries.Last, stage.Group.Entries.Commit)
let private ledAt (stage: Stage) = stage.Group.LedAtAsync(CancellationToken.None).AsTask()

/// So long after what was said last, and shortly after a majority has been heard of.
let private followed (stage: Stage) time =
    let now = later time

    for node in [ 2L; 3L ] do
        stage.Group.OnHeartbeatReply(node, beatOf stage, HeartbeatReply(stage.Group.Term, true), now)

    now

let private leaders =
    testList
        "a leader"
        [ taskCase "tells the others of its last entry and what is committed, when nothing else has told them lately"
          <| leading (fun stage _ ->
              task {
                  let now = clock.GetTimestamp()
                  Expect.isTrue (stage.Group.Tend now) "it leads"
                  Expect.isFalse (stage.Group.HeartbeatFor(2L, now).HasValue) "node 2 has just been told"
                  let due = stage.Group.HeartbeatFor(2L, later untimed.HeartbeatInterval)
                  Expect.equal due (Nullable(beatOf stage)) "what node 2 is told"
              })

          taskCase "leaves it to its rounds as long as something is not committed: if they hang, another one had better lead"
          <| leading (fun stage _ ->
              task {
                  for node in [ 2L; 3L ] do
                      stage.Plays(node, { willing with Append = (fun _ -> hangs) })

                  let committed = stage.Group.Entries.Commit
                  let writing = stage.Group.ProposeAsync(ProposalLog.put 1 1, CancellationToken.None).AsTask()

                  while stage.Group.Entries.Last = committed do
                      do! Task.Delay 1

                  Expect.isFalse (stage.Group.Tend(clock.GetTimestamp())) "no heartbeats"
                  Expect.isFalse writing.IsCompleted "nobody has it"
              })

          taskCase "asks by a round when no majority has been heard of for an election time-out"
          <| leading (fun stage round ->
              task {
                  let began = round ()
                  Expect.isFalse (stage.Group.Tend(later untimed.ElectionTimeout)) "no heartbeats"
                  do! soon began
              })

          taskCase "begins a round now and then"
          <| leading (fun stage round ->
              task {
                  let early = followed stage (0.9 * untimed.RoundInterval)
                  Expect.isTrue (stage.Group.Tend early) "heartbeats will do"
                  Expect.isFalse (stage.Group.HeartbeatFor(2L, early) = Nullable()) "and are due"
                  let began = round ()
                  Expect.isTrue (stage.Group.Tend(followed stage untimed.RoundInterval)) "a round, and heartbeats"
                  do! soon began
              })

          taskCase "is silent when a round that is asked for does not begin: another one may"
          <| leading (fun stage _ ->
              task {
                  let began = TaskCompletionSource TaskCreationOptions.RunContinuationsAsynchronously
                  let mutable asked = 0

                  let hangs' _ =
                      if Interlocked.Increment &asked = 2 then began.SetResult()

                      hangs

                  for node in [ 2L; 3L ] do
                      stage.Plays(node, { willing with Append = hangs' })

                  let lacks = HeartbeatReply(stage.Group.Term, false)
                  stage.Group.OnHeartbeatReply(2L, beatOf stage, lacks, clock.GetTimestamp())
                  do! soon began.Task
                  // That one does not end; this one cannot begin.
                  stage.Group.OnHeartbeatReply(2L, beatOf stage, lacks, clock.GetTimestamp())
                  Expect.isTrue (stage.Group.Tend(followed stage (0.9 * untimed.ElectionTimeout))) "for a while heartbeats go on"
                  Expect.isFalse (stage.Group.Tend(followed stage (1.1 * untimed.ElectionTimeout))) "and not for ever"
              })

          taskCase "does not tell a node more and more that does not answer"
          <| leading (fun stage _ ->
              task {
                  let answers = Collections.Concurrent.ConcurrentQueue<TaskCompletionSource<ReadOnlyMemory<byte>>>()

                  let peer node =
                      { new IPeer with
                          member _.NodeId = node
                          member _.IsConnected = true
                          member _.Silence = TimeSpan.Zero

                          member _.CallAsync(_, method, _, _) =
                              Expect.equal method PeerMethod.Beats "what it is told"
                              let answer = TaskCompletionSource<ReadOnlyMemory<byte>>()
                              answers.Enqueue answer
                              answer.Task }

                  let ahead =
                      { new TimeProvider() with
                          member _.GetTimestamp() = followed stage (untimed.ElectionTimeout / 2.)
                          member _.TimestampFrequency = clock.TimestampFrequency }

                  let beats = Heartbeats(SiteMembers(1L, [ 1L; 2L ], peer), (fun () -> [ stage.Group ]), TimeSpan.FromMinutes 1., ahead)

                  for _ in 1..5 do
                      beats.Beat()

                  Expect.equal answers.Count 3 "unanswered"

                  match answers.TryDequeue() with
                  | true, first -> first.SetResult(HeartbeatReply.Encode [ HeartbeatReply(stage.Group.Term, true) ] |> ReadOnlyMemory)
                  | _ -> failtest "it was not told"

                  let again () =
                      beats.Beat()
                      answers.Count = 3

                  while not (again ()) do
                      do! Task.Delay 1
              })

          taskCase "is followed, as of when it sent them, by those who answer heartbeats"
          <| leading (fun stage _ ->
              task {
                  let answer term = HeartbeatReply(term, true)
                  let term = stage.Group.Term
                  // Later than the write, whose answers may be noted only now.
                  stage.Group.OnHeartbeatReply(3L, beatOf stage, answer term, clock.GetTimestamp())
                  let! before = ledAt stage
                  stage.Group.OnHeartbeatReply(2L, beatOf stage, answer 0L, later (TimeSpan.FromMinutes 1.))
                  let! after = ledAt stage
                  Expect.equal after before "node 2 has said nothing"
                  let sent = later (TimeSpan.FromMinutes 2.)
                  stage.Group.OnHeartbeatReply(2L, beatOf stage, answer term, sent)
                  let! after = ledAt stage
                  Expect.isGreaterThan after.Value before.Value "two of three"
              })

          taskCase "begins a round when a member lacks something, or follows another one"
          <| leading (fun stage round ->
              task {
                  let term = stage.Group.Term

                  for reply in [ HeartbeatReply(term - 1L, false); HeartbeatReply(term, false); HeartbeatReply(term + 1L, false) ] do
                      let began = round ()
                      stage.Group.OnHeartbeatReply(2L, beatOf stage, reply, clock.GetTimestamp())
                      do! soon began
              })

          taskCase "is one no longer as soon as there is a later term"
          <| leading (fun stage _ ->
              task {
                  let before = beatOf stage
                  let! _ = stage.Append(2L, before.Term + 1L, (before.Last, before.Term), before.Commit, [])
                  Expect.isFalse (stage.Group.Tend(clock.GetTimestamp())) "it does not lead"
                  Expect.isFalse (stage.Group.HeartbeatFor(3L, later untimed.HeartbeatInterval).HasValue) "and says nothing of the kind"
              }) ]

let private receive (stage: Stage) from (beats: Heartbeat list) =
    task {
        let find id : TableGroup | null = if id = group then stage.Group else null
        let message = ReadOnlyMemory(Heartbeat.Encode beats)
        let! answer = Heartbeats.ReceiveAsync(from, message, find, TimeSpan.FromMinutes 1., clock, CancellationToken.None).AsTask()
        return HeartbeatReply.Decode(answer, beats.Length) |> List.ofArray
    }

/// Node 1 has two entries of term 3, of which none is known to be committed.
let private following (test: Stage -> Task<unit>) () =
    task {
        use directory = new TemporaryDirectory()
        use stage = new Stage(directory.Path, 3, untimed)
        do! stage.Wrote(3L, [ [||]; [||] ])
        do! stage.Start()
        do! test stage
    }

let private members =
    testList
        "a member"
        [ taskCase "that has the last entry follows, and takes for committed what the leader does"
          <| following (fun stage ->
              task {
                  let! replies = receive stage 2L [ Heartbeat(group, 3L, 2L, 1L) ]
                  Expect.equal replies [ HeartbeatReply(3L, true) ] "its answer"
                  Expect.equal stage.Group.LeaderNodeId 2L "whom it follows"
                  do! soon (stage.Applied 1L)
                  Expect.equal stage.Group.Entries.Commit 1L "and no more"
              })

          taskCase "that lacks the last entry says so, and takes nothing for committed"
          <| following (fun stage ->
              task {
                  let! replies = receive stage 2L [ Heartbeat(group, 3L, 3L, 3L) ]
                  Expect.equal replies [ HeartbeatReply(3L, false) ] "its answer"
                  let! replies = receive stage 2L [ Heartbeat(group, 4L, 2L, 2L) ]
                  Expect.isFalse replies.Head.IsAccepted "of that index, but of another term"
                  Expect.equal stage.Group.Entries.Commit 0L "committed"
              })

          taskCase "that knows of a later term says so"
          <| following (fun stage ->
              task {
                  let! replies = receive stage 2L [ Heartbeat(group, 2L, 2L, 2L) ]
                  Expect.equal replies [ HeartbeatReply(3L, false) ] "its answer"
                  Expect.equal (stage.Group.LeaderNodeId, stage.Group.Entries.Commit) (0L, 0L) "it does not follow"
              })

          taskCase "that is not here says nothing, and the others answer"
          <| following (fun stage ->
              task {
                  let! replies = receive stage 2L [ Heartbeat(group + 1L, 3L, 2L, 1L); Heartbeat(group, 3L, 2L, 1L) ]
                  Expect.equal replies [ HeartbeatReply(); HeartbeatReply(3L, true) ] "the answers"
              })

          taskCase "that is stuck does not hold up the others"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use stage = new Stage(directory.Sub "stuck", 3, untimed)
                  use other = new Stage(directory.Sub "free", 3, untimed)

                  for each in [ stage; other ] do
                      do! each.Wrote(3L, [ [||]; [||] ])
                      do! each.Start()

                  let stuck, free = stage.Group, other.Group
                  use _ = stage.Gate.OpenAtEnd()
                  stage.Gate.Close()
                  // A later term has to be stored.
                  let waiting = stage.Append(2L, 103L, (0L, 0L), 0L, [])
                  do! soon stage.Gate.Reached
                  let find id : TableGroup | null = if id = 7L then stuck else free
                  let beats = [ Heartbeat(7L, 3L, 2L, 0L); Heartbeat(8L, 3L, 2L, 0L) ]
                  let message = ReadOnlyMemory(Heartbeat.Encode beats)
                  let patience = TimeSpan.FromSeconds 2.
                  let receiving = Heartbeats.ReceiveAsync(2L, message, find, patience, clock, CancellationToken.None)
                  let! answer = soonResult (receiving.AsTask())
                  let replies = HeartbeatReply.Decode(answer, 2)
                  Expect.equal replies[0] (HeartbeatReply()) "the one that is stuck"
                  Expect.equal replies[1] (HeartbeatReply(3L, true)) "the other"
                  Expect.isFalse waiting.IsCompleted "still"
                  let! again = soonResult (stuck.Endpoint.OnBeatAsync(2L, beats[0], CancellationToken.None).AsTask())
                  Expect.equal again (HeartbeatReply()) "the next one does not wait behind it"
              } ]

let private refuses name (decode: byte array -> unit) (message: byte array) =
    testCase name (fun () -> Expect.throwsT<InvalidDataException> (fun () -> decode message) "it is refused")

let private messages =
    let numbers (values: int64 list) = RaftMessages.Numbers(ReadOnlySpan(Array.ofList values))
    let beats message = Heartbeat.Decode(ReadOnlyMemory message) |> ignore
    let replies message = HeartbeatReply.Decode(ReadOnlyMemory message, 2) |> ignore

    testList
        "a message"
        [ refuses "with a heartbeat that is cut off" beats (numbers [ 7L; 1L; 1L ])
          refuses "that is cut off" beats (numbers [ 7L; 1L; 1L; 1L ] |> Array.take 30)
          refuses "that answers less than was asked" replies (numbers [ 1L; 1L ])
          refuses "with an answer that is cut off" replies (numbers [ 1L; 1L; 1L ]) ]

let rec private followedAfter (long: int64) (group: TableGroup) : Task =
    task {
        let! moment = group.LedAtAsync(CancellationToken.None).AsTask()

        if not (moment.HasValue && moment.Value > long) then
            do! Task.Delay 20
            do! followedAfter long group
    }

let private keepsItsLeader =
    taskCase "an idle site keeps its leaders by heartbeats, far longer than without a sign of life"
    <| fun () ->
        task {
            use directory = new TemporaryDirectory()
            use site = new HostedSite.HostedSite(directory.Path)

            do! site.Start 7L

            for group in [ 8L; 9L ] do
                for id in site.Ids do
                    let! _ = soonResult (site.StartGroup(id, group))
                    ()

            let! leaders = Task.WhenAll [| for group in [ 7L; 8L; 9L ] -> site.Leader(group, site.Ids) |]
            let groups = [| for group, leader in Array.zip [| 7L; 8L; 9L |] leaders -> site.Table(leader, group) |]
            let terms = groups |> Array.map _.Term
            let long = later (5. * quick.MaxElectionTimeout)

            for group in groups do
                do! soon (followedAfter long group)

            Expect.equal (groups |> Array.map _.Term) terms "nobody else has stood"

            let leader = leaders[0]
            let other = site.Ids |> List.find ((<>) leader)
            let peer = nonNull (site.Node(leader).Host.Setting.Members.Peer other)
            let beat = Heartbeat(7L, terms[0], groups[0].Entries.Last, groups[0].Entries.Commit)
            let message = ReadOnlyMemory(Heartbeat.Encode [ beat ])
            let! answer = soonResult (peer.CallAsync(0L, PeerMethod.Beats, message, CancellationToken.None))
            Expect.sequenceEqual (HeartbeatReply.Decode(answer, 1)) [ HeartbeatReply(terms[0], true) ] "what another node answers"
        }

let tests = testList "heartbeats" [ leaders; members; messages; testSequenced keepsItsLeader ]
