/// What a group of several members promises.
module Regatta.Raft.Tests.SiteTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.SiteLife

let private others (site: Site) (id: int64) = site.Ids |> List.filter (fun other -> other <> id)

let private ledAt (group: ITableGroup) = group.LedAtAsync(CancellationToken.None).AsTask()

let rec private ledBehind group (moment: int64) : Task =
    task {
        let! found = ledAt group

        if not (found.HasValue && found.Value > moment) then
            do! Task.Delay 5
            do! ledBehind group moment
    }

let private requests =
    testList
        "requests"
        [ taskCase "a put on any node is applied there and, within a round trip, everywhere"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3)
                  do! site.Start()
                  let! _ = site.Leader(7L, site.Ids)
                  let mutable expected = 0L

                  for round in 1..5 do
                      for node in site.Nodes do
                          let group = node.Group 7L
                          let key = $"key-{node.Id}-{round}"
                          let! revision = put group key "value"
                          expected <- expected + 1L
                          Expect.equal revision expected "revisions are the site's"
                          Expect.equal (get group key) (Some("value", revision)) "visible where it was asked"

                  for node in site.Nodes do
                      do! soon ((node.Group 7L).WaitForRevisionAsync(expected, CancellationToken.None).AsTask())

                      Expect.equal
                          (node.Group 7L).Status.Applied
                          (site.Nodes.Head.Group 7L).Status.Applied
                          "the same state, chain hash included"
              }

          taskCase "a linearizable read on any node sees every write acknowledged before it"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3)
                  do! site.Start()

                  for round in 1..30 do
                      let writer, reader = site.Nodes[round % 3], site.Nodes[(round + 1) % 3]
                      let! revision = put (writer.Group 7L) "key" $"{round}"
                      let! outcome = barrier (reader.Group 7L)
                      Expect.isTrue outcome.Succeeded $"confirmed: {outcome.Reason}"
                      Expect.equal (get (reader.Group 7L) "key") (Some($"{round}", revision)) "the newest"
              }

          taskCase "the leader, and only it, knows by its heartbeats until when it certainly led; without a majority that stands still"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3)
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  let ledAt (id: int64) = ledAt (site.Node(id).Group 7L)
                  let began = TimeProvider.System.GetTimestamp()
                  do! soon (ledBehind (site.Node(leader).Group 7L) began)

                  for other in others site leader do
                      let! none = soonResult (ledAt other)
                      Expect.isFalse none.HasValue "it does not lead"

                  for other in others site leader do
                      do! site.Crash other

                  let gone = TimeProvider.System.GetTimestamp()

                  for _ in 1..20 do
                      let! moment = soonResult (ledAt leader)
                      if moment.HasValue then Expect.isLessThan moment.Value gone "no later than a majority was there"
                      do! Task.Delay 5
              }

          taskCase "without a majority nothing is acknowledged, and callers are told in time"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3, [ 7L ], quickWith (TimeSpan.FromSeconds 1.))
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  let! _ = put (site.Node(leader).Group 7L) "before" "1"

                  for other in others site leader do
                      do! site.Crash other

                  let group = site.Node(leader).Group 7L
                  let! outcome = barrier group
                  Expect.equal outcome.Failure GroupFailure.NoLeader "no linearizable read"
                  use limit = new CancellationTokenSource(TimeSpan.FromSeconds 2.)
                  let! write = soonResult (group.ProposeAsync(PutCommand(bytes "lost", bytes "1", false), limit.Token).AsTask())
                  Expect.isNull write.Result "no write"
                  Expect.equal (get group "before") (Some("1", 1L)) "local reads go on"
              } ]

let private failover =
    testList
        "failover"
        [ taskCase "the loss of any node loses no acknowledged write, and writes go on"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3)
                  do! site.Start()
                  let mutable written = 0L

                  for round in 1 .. Regatta.Testing.Scale.pick 4 40 do
                      let! leader = site.Leader(7L, site.Ids)
                      let victim = if round % 2 = 1 then leader else (others site leader).Head
                      let survivor = (others site victim).Head

                      for _ in 1..10 do
                          written <- written + 1L
                          let! revision = put (site.Node(survivor).Group 7L) $"key{written}" $"{written}"
                          Expect.equal revision written "one after the other"

                      do! site.Crash victim
                      written <- written + 1L
                      let! revision = put (site.Node(survivor).Group 7L) $"key{written}" $"{written}"
                      Expect.equal revision written "goes on, and repeats nothing"
                      let! _ = site.StartNode victim
                      let group = site.Node(victim).Group 7L
                      let! outcome = barrier group
                      Expect.isTrue outcome.Succeeded $"back: {outcome.Reason}"

                      for number in 1L .. written do
                          Expect.equal (get group $"key{number}") (Some($"{number}", number)) $"round {round}"
              }

          taskCase "who waits for a leader that stands still need not wait longer than until there is another one"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3, [ 7L ], quickWith (TimeSpan.FromMinutes 10.))
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  let follower = site.Node((others site leader).Head).Group 7L
                  let! _ = put follower "before" "1"
                  site.Wires.Decide <- fun from target _ -> if from = leader || target = leader then Wires.Held else Wires.Delivered
                  let reading = barrier follower
                  let! write = propose follower "held" "1"
                  Expect.equal write.Failure GroupFailure.Unknown "nobody knows what the old leader did with the write"
                  let! read = reading
                  Expect.isTrue read.Succeeded $"the read is put to the new leader: {read.Reason}"
                  site.Wires.Decide <- fun _ _ _ -> Wires.Delivered
              }

          taskCase "a write that comes when nothing is heard from the leader any more is left for the next one, and its fate is known"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3, [ 7L ], quickWith (TimeSpan.FromMinutes 10.))
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  let follower = site.Node((others site leader).Head).Group 7L
                  let! _ = put follower "before" "1"
                  site.Wires.Silence <- fun _ target -> if target = leader then TimeSpan.FromMinutes 1. else TimeSpan.Zero
                  site.Wires.Decide <- fun from target _ -> if from = leader || target = leader then Wires.Held else Wires.Delivered
                  let! revision = put follower "after" "1"
                  Expect.equal revision 2L "it was written once"
                  site.Wires.Decide <- fun _ _ _ -> Wires.Delivered
              }

          taskCase "a leader that is cut off acknowledges nothing and confirms no read; its entries give way"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3, [ 7L ], quickWith (TimeSpan.FromSeconds 30.))
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  let! _ = put (site.Node(leader).Group 7L) "key" "old"

                  for other in others site leader do
                      site.Wires.Cut(leader, other)

                  let stale =
                      (site.Node(leader).Group 7L)
                          .ProposeAsync(PutCommand(bytes "key", bytes "stale", false), CancellationToken.None)
                          .AsTask()

                  let read = (site.Node(leader).Group 7L).ReadBarrierAsync(CancellationToken.None).AsTask()
                  let! next = site.Leader(7L, others site leader)
                  let! revision = put (site.Node(next).Group 7L) "key" "new"
                  Expect.equal revision 2L "the next revision is theirs"
                  // The new leader cannot be reached yet, and the old one is none.
                  Expect.isFalse read.IsCompleted "no read was confirmed"

                  for other in others site leader do
                      site.Wires.Join(leader, other)

                  let! outcome = soonResult stale
                  // Handed to the log it is unknown; else it was sent to the new leader, and is applied behind it.
                  if isNull outcome.Result then Expect.equal outcome.Failure GroupFailure.Unknown "not acknowledged"

                  let! confirmed = soonResult read
                  Expect.isTrue confirmed.Succeeded "confirmed by the new leader"
                  Expect.isGreaterThanOrEqual (site.Node(leader).Group 7L).Reader.Revision 2L "which shows the new write"
              } ]

let private transfer =
    testList
        "transfer"
        [ taskCase "the leadership moves to any node, from any node, under writes of which none is lost or told to be unknown"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3)
                  do! site.Start()
                  let! _ = site.Leader(7L, site.Ids)
                  use stop = new CancellationTokenSource()
                  let mutable written = 0L

                  let writer =
                      Task.Run<unit>(fun () ->
                          task {
                              let mutable number = 0

                              while not stop.IsCancellationRequested do
                                  number <- number + 1
                                  let! revision = put (site.Node(int64 (number % 3) + 1L).Group 7L) $"key{number}" "value"
                                  written <- revision
                          })

                  for round in 1 .. Regatta.Testing.Scale.pick 6 60 do
                      let target = int64 (round % 3) + 1L
                      let asked = site.Node(int64 ((round + round / 3) % 3) + 1L).Group 7L
                      let! obstacle = soonResult ((asked :> ITableGroup).MoveLeaderAsync(target, CancellationToken.None).AsTask())
                      Expect.isNull obstacle $"round {round}, to {target}"
                      let! leader = site.Leader(7L, site.Ids)
                      Expect.equal leader target "as all see it"

                  do! stop.CancelAsync()
                  do! soon writer
                  Expect.isGreaterThan written 0L "there were writes"
                  Expect.equal (site.Node(1L).Group 7L).Term (site.Node(2L).Group 7L).Term "one term"
              }

          taskCase "a node that cannot be reached gets no leadership, and the leader goes on"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3, [ 7L ], quickWith (TimeSpan.FromSeconds 2.))
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  let gone = (others site leader).Head
                  do! site.Crash gone

                  let! obstacle =
                      soonResult ((site.Node(leader).Group 7L :> ITableGroup).MoveLeaderAsync(gone, CancellationToken.None).AsTask())

                  Expect.stringContains (nonNull obstacle) "not reachable" "why"

                  let! stranger =
                      soonResult ((site.Node(leader).Group 7L :> ITableGroup).MoveLeaderAsync(9L, CancellationToken.None).AsTask())

                  Expect.stringContains (nonNull stranger) "no node of this site" "why"
                  let! _ = put (site.Node(leader).Group 7L) "key" "value"
                  ()
              } ]

let private durability =
    testList
        "durability"
        [ taskCase "a write is acknowledged when a majority has synced it, and not before"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3)
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  let! _ = put (site.Node(leader).Group 7L) "before" "1"
                  let gates = others site leader |> List.map (fun id -> site.Node(id).Gate)
                  use _ = gates[0].OpenAtEnd()
                  use _ = gates[1].OpenAtEnd()

                  for gate in gates do
                      gate.Close()

                  let write =
                      (site.Node(leader).Group 7L)
                          .ProposeAsync(PutCommand(bytes "key", bytes "value", false), CancellationToken.None)
                          .AsTask()
                  // Both have it before their disks and wait there.
                  do! soon (Task.WhenAll [| for gate in gates -> gate.Reached |])
                  let! beat = barrierOrTimeout (site.Node(leader).Group 7L)
                  Expect.isFalse beat "not even an empty message is answered before the sync"
                  Expect.isFalse write.IsCompleted "nobody else has it on disk"
                  gates[0].Open()
                  let! outcome = soonResult write
                  Expect.isNotNull outcome.Result "one of them is enough"
              }

          taskCase "a group that stops waits for what it has queued for the disk: its log may be opened again at once"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3)
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  let! _ = put (site.Node(leader).Group 7L) "before" "1"
                  let follower = site.Node((others site leader).Head)
                  use _ = follower.Gate.OpenAtEnd()
                  follower.Gate.Close()
                  let! _ = put (site.Node(leader).Group 7L) "key" "value"
                  do! soon follower.Gate.Reached
                  let stop = (follower.Group 7L).DisposeAsync().AsTask()
                  // Long enough for a stop that waits for no disk.
                  let! _ = Task.WhenAny(stop, Task.Delay 1000)
                  Expect.isFalse stop.IsCompleted "an entry is on its way to the disk"
                  follower.Gate.Open()
                  do! soon stop
              }

          taskCase "the leader's own sync counts like any other: with two of three others it is not waited for in vain"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new Site(directory.Path, 3)
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  let! _ = put (site.Node(leader).Group 7L) "before" "1"
                  let gate = site.Node(leader).Gate
                  use _ = gate.OpenAtEnd()
                  gate.Close()

                  let write =
                      (site.Node(leader).Group 7L)
                          .ProposeAsync(PutCommand(bytes "key", bytes "value", false), CancellationToken.None)
                          .AsTask()

                  do! soon gate.Reached
                  let follower = site.Node((others site leader).Head).Group 7L
                  // The others have it; still the leader says nothing before its own disk has it.
                  do!
                      soon (
                          Task.Run(fun () ->
                              while follower.Entries.Last < 3L do
                                  Thread.Yield() |> ignore)
                      )

                  Expect.isFalse write.IsCompleted "not on the leader's disk"
                  gate.Open()
                  let! outcome = soonResult write
                  Expect.isNotNull outcome.Result "then it is"
              } ]

let tests = testSequenced (testList "Site" [ requests; failover; transfer; durability ])
