module Regatta.Raft.Tests.PeerListeningTests

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.Diagnostics.Metrics
open System.IO
open System.Net
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.PeerFixtures

let private network (id: int64) (listen: string) (site: string) =
    let options =
        PeerNetworkOptions(
            NodeId = id,
            Members = Dictionary(dict [ 1L, "a:1"; 2L, "b:1" ]),
            ListenAddress = listen,
            SiteName = site,
            StoreId = storeOf id,
            History = (fun () -> Nullable())
        )

    new PeerNetwork(options, echo, new Journal(), TimeProvider.System)

/// What the counters of peers have gained since the start of the listener.
type private Counters() =
    let gained = ConcurrentDictionary<string, int64>()
    let listener = new MeterListener()

    do
        listener.InstrumentPublished <-
            fun instrument listener -> if instrument.Name.StartsWith "regatta.raft.peer." then listener.EnableMeasurementEvents instrument

        listener.SetMeasurementEventCallback<int64>(fun instrument value _ _ ->
            gained.AddOrUpdate(instrument.Name, value, (fun _ before -> before + value)) |> ignore)

        listener.Start()

    member _.Of(name: string) =
        match gained.TryGetValue("regatta.raft.peer." + name) with
        | true, value -> value
        | _ -> 0L

    interface IDisposable with
        member _.Dispose() = listener.Dispose()

let tests =
    testList
        "Peer network, listening"
        [ testCase "addresses are HOST:PORT"
          <| fun () ->
              let listening text = string (PeerAddress.ToListen text)
              Expect.equal (listening "127.0.0.1:5012") "127.0.0.1:5012" "numeric"
              Expect.equal (listening "localhost:0") "127.0.0.1:0" "this machine"
              Expect.equal (listening "[::]:5012") "[::]:5012" "all interfaces"
              Expect.equal (PeerAddress.ToDial "north-2.example:5012") (DnsEndPoint("north-2.example", 5012)) "a name"
              Expect.equal (PeerAddress.ToDial "[::1]:5012") (IPEndPoint(IPAddress.IPv6Loopback, 5012)) "numeric"

              for text in [ ""; "5012"; ":5012"; "host"; "host:"; "host:x"; "host:-1"; "host:65536" ] do
                  Expect.throwsT<ArgumentException> (fun () -> PeerAddress.ToDial text |> ignore) text

              Expect.throwsT<ArgumentException> (fun () -> PeerAddress.ToListen "north-2.example:5012" |> ignore) "a name is no interface"

          testCase "a node must be among the members, and its site's name must fit"
          <| fun () ->
              Expect.throwsT<ArgumentException> (fun () -> network 3L "127.0.0.1:0" "north" |> ignore) "no member"
              Expect.throwsT<ArgumentException> (fun () -> network 1L "127.0.0.1:0" (String('n', 513)) |> ignore) "too long"

          taskCase "a network closes whether or not it could start"
          <| fun () ->
              task {
                  let never = network 2L "127.0.0.1:0" "north"
                  do! soon (never.DisposeAsync().AsTask())
                  let first = network 2L "127.0.0.1:0" "north"
                  do! first.StartAsync CancellationToken.None
                  let second = network 2L (string first.ListensAt) "north"
                  let! cause = failure (second.StartAsync CancellationToken.None)
                  Expect.isTrue (cause :? IOException) "the port is taken"
                  do! soon (second.DisposeAsync().AsTask())
                  do! soon (first.DisposeAsync().AsTask())
                  do! soon (first.DisposeAsync().AsTask())
                  let third = network 2L (string first.ListensAt) "north"
                  do! third.StartAsync CancellationToken.None
                  do! soon (third.DisposeAsync().AsTask())
              }

          taskCase "only other members are peers"
          <| fun () ->
              task {
                  use one = network 1L "127.0.0.1:0" "north"
                  Expect.equal (one.Peers |> Seq.map _.NodeId |> List.ofSeq) [ 2L ] "the other one"
                  Expect.throwsT<KeyNotFoundException> (fun () -> one[1L] |> ignore) "not this one"
              }

          taskCase "frames, bytes, flushes, connections and failed calls are counted"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])
                  use counters = new Counters()
                  let! one, _ = pairOf site echo echo
                  let! _ = soonResult (Task.WhenAll [ for _ in 1..20 -> call one 2L 1L (Array.zeroCreate 100_000) ])
                  let! _ = failure (callWith one 2L 1L [||] (CancellationToken true))
                  do! site.Stop 2L
                  do! disconnected one 2L
                  let! _ = failure (call one 2L 1L [||])
                  Expect.equal (counters.Of "connections") 2L "one at each side"
                  Expect.isGreaterThanOrEqual (counters.Of "frames") 80L "two of each request and each reply"
                  Expect.isGreaterThanOrEqual (counters.Of "bytes") 4_000_000L "there and back"
                  Expect.isLessThanOrEqual (counters.Of "flushes") (counters.Of "frames") "several frames with one flush"
                  Expect.isGreaterThan (counters.Of "calls.failed") 0L "the last one"
              } ]
