module Regatta.Raft.Tests.PeerNetworkTests

open System
open System.Collections.Concurrent
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.PeerFixtures

/// Holds every request until it is let go or its connection is gone, and remembers in which order they were started.
type private Held() =
    let started = new BlockingCollection<int>()
    let go = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    let cancelled = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    member _.Go() = go.SetResult()
    /// Completes when a handler was cancelled.
    member _.Cancelled = cancelled.Task

    member _.Handler =
        handler (fun _ _ request token ->
            task {
                started.Add(BitConverter.ToInt32 request)

                try
                    do! go.Task.WaitAsync token
                with :? OperationCanceledException ->
                    cancelled.TrySetResult() |> ignore

                return request
            })

    member _.Next() =
        let mutable number = 0
        if started.TryTake(&number, patience) then number else failtest "no request came"

let private number (value: int) = BitConverter.GetBytes value

let tests =
    testList
        "Peer network"
        [ taskCase "calls go both ways over one connection"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L; 3L ])

                  let reply (node: byte) =
                      handler (fun group method request _ -> Task.FromResult(Array.append [| node; byte group; byte method |] request))

                  let! three = site.Start(3L, reply 3uy)
                  let! two = site.Start(2L, reply 2uy)
                  let! one = site.Start(1L, reply 1uy)

                  for here, there in [ one, 2L; one, 3L; two, 1L; two, 3L; three, 1L; three, 2L ] do
                      do! connected here there
                      let! answer = here[there].CallAsync(7L, PeerMethod.Propose, ReadOnlyMemory [| 42uy |], CancellationToken.None)
                      Expect.equal (answer.ToArray()) [| byte there; 7uy; byte PeerMethod.Propose; 42uy |] "the other node's answer"
              }

          taskCase "a peer's store and history are known while it is connected"
          <| fun () ->
              task {
                  let history = Guid.Parse "00000000-0000-0000-0000-0000000000aa"
                  use site = new Site({ usual [ 1L; 2L ] with History = fun id -> if id = 2L then Some history else None })
                  let! one, two = pairOf site echo echo

                  match one[2L].Peer, two[1L].Peer with
                  | null, _
                  | _, null -> failtest "both are connected"
                  | second, first ->
                      Expect.equal (second.StoreId, second.History) (storeOf 2L, Nullable history) "what node 2 said"
                      Expect.equal (first.StoreId, first.History) (storeOf 1L, Nullable()) "what node 1 said"

                  do! site.Stop 2L
                  do! disconnected one 2L
                  Expect.isNull one[2L].Peer "nothing is known of a node without a connection"
              }

          taskCase "large messages arrive whole, also while small ones go past them"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])
                  let! one, two = pairOf site echo echo
                  let large seed = Array.init (5_000_000 + seed) (fun position -> byte (position * 31 + seed))

                  let calls =
                      [ for seed in 0..3 do
                            let request = large seed
                            request, call one 2L (int64 seed % 2L) request
                            request, call two 1L (int64 seed % 2L) request
                            number seed, call one 2L 9L (number seed)
                            [||], call two 1L 9L [||] ]

                  for request, reply in calls do
                      let! reply = soonResult reply
                      Expect.isTrue (reply.AsSpan().SequenceEqual(ReadOnlySpan request)) "the reply is what was sent"
              }

          taskCase "calls of one group are started in the order of sending, and none waits for another's end"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])
                  let held = Held()
                  let! one, _ = pairOf site echo held.Handler
                  let calls = [ for value in 1..2000 -> call one 2L 5L (number value) ]

                  for value in 1..2000 do
                      Expect.equal (held.Next()) value "the next in order, though none before it has ended"

                  held.Go()
                  let! _ = soonResult (Task.WhenAll calls)
                  ()
              }

          taskCase "while a handler has not begun to wait, none of its group is started, but those of others are"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])
                  use gate = new ManualResetEventSlim(false)
                  let started = ConcurrentQueue<int>()

                  let slow =
                      handler (fun _ _ request _ ->
                          started.Enqueue(BitConverter.ToInt32 request)
                          // On the caller's thread, as the work before the first await is.
                          if BitConverter.ToInt32 request = 1 then gate.Wait patience |> ignore
                          Task.FromResult request)

                  let! one, _ = pairOf site echo slow
                  let calls = [ for value in 1..50 -> call one 2L 5L (number value) ]
                  // Sent after the others, so that they are there when this is answered.
                  let! _ = soonResult (call one 2L 6L (number 100))
                  let others = [ for value in 101..150 -> call one 2L 6L (number value) ]
                  let! _ = soonResult (Task.WhenAll others)
                  Expect.equal (started |> Seq.filter (fun value -> value < 100) |> List.ofSeq) [ 1 ] "the first only"
                  gate.Set()
                  let! _ = soonResult (Task.WhenAll calls)
                  Expect.equal (started |> Seq.filter (fun value -> value < 100) |> List.ofSeq) [ 1..50 ] "then the others, in order"
              }

          taskCase "a cancelled call ends at once, and its late reply harms nobody"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])
                  let held = Held()
                  let! one, _ = pairOf site echo held.Handler
                  use source = new CancellationTokenSource()
                  let cancelled = callWith one 2L 5L (number 1) source.Token
                  let other = call one 2L 5L (number 2)
                  Expect.equal (held.Next(), held.Next()) (1, 2) "both are being served"
                  source.Cancel()
                  let! cause = failure cancelled
                  Expect.isTrue (cause :? OperationCanceledException) "cancelled"
                  held.Go()
                  let! reply = soonResult other
                  Expect.equal reply (number 2) "its own reply"
                  Expect.isFalse held.Cancelled.IsCompleted "the callee was not told"
              }

          taskCase "a handler's failure is the caller's, with its message"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])

                  let failing =
                      handler (fun _ _ request _ -> if request.Length = 0 then failwith "No such group." else Task.FromResult request)

                  let! one, _ = pairOf site echo failing
                  let! cause = failure (call one 2L 1L [||])
                  Expect.isTrue (cause :? PeerCallException) "the other node refused"
                  Expect.equal cause.Message "No such group." "in its own words"
                  let! reply = soonResult (call one 2L 1L [| 1uy |])
                  Expect.equal reply [| 1uy |] "the connection stands"
              }

          taskCase "a reply that is too large fails its call only"
          <| fun () ->
              task {
                  use site = new Site({ usual [ 1L; 2L ] with MessageBytes = 1000 })
                  let! one, _ = pairOf site echo (handler (fun _ _ request _ -> Task.FromResult(Array.zeroCreate (int request[0] * 10))))
                  let! cause = failure (call one 2L 1L [| 101uy |])
                  Expect.stringContains cause.Message "1010 bytes" "what is wrong"
                  let! reply = soonResult (call one 2L 1L [| 100uy |])
                  Expect.equal reply.Length 1000 "as much as is allowed"

                  Expect.throwsT<ArgumentOutOfRangeException>
                      (fun () ->
                          one[2L].CallAsync(1L, PeerMethod.Append, ReadOnlyMemory(Array.zeroCreate 1001), CancellationToken.None) |> ignore)
                      "the caller's own mistake"
              }

          taskCase
              "a connection that breaks fails its calls, of which the other node may have acted on those sent, and cancels its handlers"
          <| fun () ->
              task {
                  use site = new Site({ usual [ 1L; 2L ] with GroupBytes = 1000 })
                  let held = Held()
                  let! one, _ = pairOf site echo held.Handler
                  let sent = call one 2L 5L (number 1)
                  Expect.equal (held.Next()) 1 "it has arrived"
                  // Does not fit beside the first: it is not sent before that is answered.
                  let waiting = call one 2L 5L (Array.zeroCreate 900)
                  do! site.Stop 2L
                  let! wasSent = isSent sent
                  Expect.isTrue wasSent "the other node has got it"
                  let! wasSent = isSent waiting
                  Expect.isFalse wasSent "it never left"
                  do! soon held.Cancelled
              }

          taskCase "without a connection a call fails at once, and surely was not sent"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])
                  let! one = site.Start(1L, echo)
                  let! wasSent = isSent (call one 2L 5L (number 1))
                  Expect.isFalse wasSent "there was nothing to send it on"
                  Expect.isFalse one[2L].IsConnected "no connection"
              }

          taskCase "a node that comes back is connected again, whichever side was gone"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])
                  let! one, two = pairOf site echo echo
                  do! site.Stop 2L
                  do! disconnected one 2L
                  let! two' = site.Start(2L, echo)
                  do! connected one 2L
                  let! _ = soonResult (call one 2L 5L (number 1))
                  do! site.Stop 1L
                  do! disconnected two' 1L
                  let! one' = site.Start(1L, echo)
                  do! connected two' 1L
                  let! _ = soonResult (call two' 1L 5L (number 1))
                  Expect.isFalse two[1L].IsConnected "a closed network has no connections"
                  Expect.isTrue one'[2L].IsConnected "the new one has"
              }

          taskCase "of two connections of the same node the newer counts"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])
                  let! two = site.Start(2L, echo)
                  use older = new Stranger(two.ListensAt)
                  do! older.Enter(1L, 2L)
                  do! connected two 1L
                  let lost = call two 1L 5L (number 1)
                  let! kind, group, _, body = older.Receive()
                  Expect.equal (kind, group, body) (FrameKind.Request, 5L, number 1) "the call goes over the first connection"
                  use newer = new Stranger(two.ListensAt)
                  do! newer.Enter(1L, 2L)
                  do! soon (older.Ended())
                  let! wasSent = isSent lost
                  Expect.isTrue wasSent "its fate is unknown"
                  let answered = call two 1L 5L (number 2)
                  let! _, _, id, _ = newer.Receive()
                  do! newer.Send(frame FrameKind.Reply 5L id [| 7uy |])
                  let! reply = soonResult answered
                  Expect.equal reply [| 7uy |] "over the newer connection"
              }

          taskCase "closing ends all calls, served and made, and waits for the handlers"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L ])
                  let held = Held()
                  let! one, two = pairOf site held.Handler held.Handler
                  let made = [ for value in 1..50 -> call one 2L (int64 value) (number value) ]
                  let served = [ for value in 1..50 -> call two 1L (int64 value) (number value) ]

                  for _ in 1..100 do
                      held.Next() |> ignore

                  do! site.Stop 1L

                  for work in made @ served do
                      let! wasSent = isSent work
                      Expect.isTrue wasSent "each had arrived"

                  let! wasSent = isSent (call one 2L 1L (number 1))
                  Expect.isFalse wasSent "nothing is sent any more"
              } ]
