module Regatta.Raft.Tests.PeerClockTests

open System
open System.Collections.Concurrent
open System.Net
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Time.Testing
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.PeerFixtures

let private second = TimeSpan.FromSeconds 1.

/// Also says for how long who waits wants to wait.
type private Clock() =
    inherit FakeTimeProvider()
    let waits = new BlockingCollection<TimeSpan>()

    /// The next wait that is no deadline.
    member _.Wait() =
        let mutable span = TimeSpan.Zero

        if waits.TryTake(&span, patience) then span else failtest "nobody waits"

    override _.CreateTimer(callback, state, due, period) =
        let timer = base.CreateTimer(callback, state, due, period)

        if due < TimeSpan.FromSeconds 5. && due >= TimeSpan.Zero && period = Timeout.InfiniteTimeSpan then waits.Add due

        timer

/// Node 2, with a test in the place of node 1.
let private beside (time: FakeTimeProvider) (body: PeerNetwork -> Stranger -> Journal -> Task<unit>) =
    task {
        use site = new Site({ usual [ 1L; 2L ] with Time = time })
        use journal = new Journal()
        let! two = site.Start(2L, echo, journal)
        use stranger = new Stranger(two.ListensAt)
        do! stranger.Enter(1L, 2L)
        do! connected two 1L
        do! body two stranger journal
    }

let private isPing (stranger: Stranger) =
    task {
        let! kind, _, _, _ = stranger.Receive()
        Expect.equal kind FrameKind.Ping "asked whether it is there"
    }

let tests =
    testList
        "Peer network, clock"
        [ taskCase "a silent peer is asked every second and given up after five"
          <| fun () ->
              let time = FakeTimeProvider()

              beside time (fun two stranger journal ->
                  task {
                      let lost = call two 1L 1L [| 1uy |]
                      let! kind, _, _, _ = stranger.Receive()
                      Expect.equal kind FrameKind.Request "the call goes out"

                      for _ in 1..4 do
                          time.Advance second
                          do! isPing stranger

                      Expect.isTrue two[1L].IsConnected "not yet"
                      time.Advance second
                      do! disconnected two 1L
                      let! wasSent = isSent lost
                      Expect.isTrue wasSent "its fate is unknown"
                      do! stranger.Ended()
                      do! journal.Has "nothing was heard for 5 s"
                  })

          taskCase "a peer that answers is kept, and its own question is answered"
          <| fun () ->
              let time = FakeTimeProvider()

              beside time (fun two stranger _ ->
                  task {
                      for _ in 1..12 do
                          time.Advance second
                          do! isPing stranger
                          do! stranger.Send(frame FrameKind.Pong 0L 0u [||])
                          do! stranger.Send(frame FrameKind.Ping 0L 0u [||])
                          let! kind, _, _, _ = stranger.Receive()
                          Expect.equal kind FrameKind.Pong "it is there too"

                      Expect.isTrue two[1L].IsConnected "after twelve seconds"
                  })

          taskCase "who does not finish the handshake in time is shown the door"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  use site = new Site({ usual [ 1L; 2L ] with Time = time })
                  use journal = new Journal()
                  let! two = site.Start(2L, echo, journal)
                  use stranger = new Stranger(two.ListensAt)
                  let ended = stranger.Ended()

                  while not ended.IsCompleted do
                      time.Advance(TimeSpan.FromSeconds 5.)
                      do! Task.Yield()

                  do! ended
                  do! journal.Has "did not answer within 5 s"
              }

          taskCase "a node that cannot be reached is dialled again after 50 ms to 1 s, and the reason is logged once"
          <| fun () ->
              task {
                  let time = Clock()
                  use site = new Site({ usual [ 1L; 2L ] with Time = time })
                  use journal = new Journal()
                  // Nobody listens there: the port was the system's choice for a socket that is closed again.
                  let free = new Sockets.TcpListener(IPAddress.Loopback, 0)
                  free.Start()
                  site.Addresses[2L] <- free.LocalEndpoint
                  free.Dispose()
                  let! one = site.Start(1L, echo, journal)
                  let mutable ceiling = 100.

                  for _ in 1..12 do
                      let wait = time.Wait()
                      Expect.isGreaterThanOrEqual wait.TotalMilliseconds 50. "not at once"
                      Expect.isLessThanOrEqual wait.TotalMilliseconds ceiling "twice as long at most as the time before"
                      ceiling <- min 1000. (2. * ceiling)
                      time.Advance wait

                  Expect.equal (journal.About "cannot be reached").Length 1 "one warning"
                  let wait = time.Wait()
                  let! two = site.Start(2L, echo)
                  time.Advance wait
                  do! connected one 2L
                  do! connected two 1L
              } ]
