module Regatta.Raft.Tests.PeerSendingTests

open System
open System.Buffers
open System.Collections.Concurrent
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.PeerFixtures

let private frameBytes = 64 <<< 10

/// An outbox whose frames a test takes one by one, as the connection's writer does.
type private Sending(setting: Setting) =
    let site = new Site(setting)
    let outbox = Outbox(2L, site.Options 1L)
    member _.Outbox = outbox

    member _.Call(group, size: int, token: CancellationToken) =
        outbox.CallAsync(group, PeerMethod.Append, ReadOnlyMemory(Array.zeroCreate size), token)

    member sending.Call(group, size) = sending.Call(group, size, CancellationToken.None)

    /// The next frame and its body, if one is ready.
    member _.Next() =
        let output = ArrayBufferWriter<byte>()
        let mutable bytes = 0
        let mutable ready = Task.CompletedTask

        if outbox.TryWrite(output, &bytes, &ready) then
            let mutable buffer = ReadOnlySequence<byte>(output.WrittenMemory)
            let mutable frame = Frame()
            let mutable body = ReadOnlySequence<byte>()
            Expect.isTrue (Frame.TryRead(&buffer, frameBytes, &frame, &body)) "a whole frame"
            Expect.equal (bytes, buffer.Length) (output.WrittenCount, 0L) "and nothing else"
            Some frame
        else
            None

    /// All frames that are ready.
    member sending.Rest() = List.unfold (fun () -> sending.Next() |> Option.map (fun frame -> frame, ())) ()

    member _.Answer(frame: Frame) =
        Expect.isTrue (outbox.Expects(frame.Group, frame.Call)) "somebody waits for it"
        outbox.Complete(frame.Call, FrameKind.Reply, [||])

let private groups (frames: Frame list) = frames |> List.map _.Group

let private limited = { usual [ 1L; 2L ] with GroupBytes = 10_000 }

let tests =
    testList
        "Peer network, sending"
        [ taskCase "a group's large messages delay another group's small one by one frame"
          <| fun () ->
              task {
                  let sending = Sending(usual [ 1L; 2L ])
                  let large = [ for _ in 1..4 -> sending.Call(1L, 16 * frameBytes) ]

                  for _ in 1..10 do
                      Expect.equal (sending.Next() |> Option.map _.Group) (Some 1L) "nothing else is there"

                  let small = sending.Call(2L, 100)
                  let after = sending.Rest()
                  Expect.isLessThanOrEqual (after |> List.findIndex (fun frame -> frame.Group = 2L)) 1 "frames before the small one"
                  Expect.equal (after.Length + 10) (4 * 16 + 1) "all frames"
                  Expect.isTrue (large |> List.forall (fun call -> not call.IsCompleted)) "no reply has come"
                  Expect.isFalse small.IsCompleted "nor here"
              }

          taskCase "busy groups take turns, frame by frame, each in its own order"
          <| fun () ->
              task {
                  let sending = Sending(usual [ 1L; 2L ])

                  for group in 1L .. 3L do
                      sending.Call(group, 3 * frameBytes) |> ignore
                      sending.Call(group, 10) |> ignore

                  let frames = sending.Rest()
                  Expect.equal (groups frames) (List.concat (List.replicate 4 [ 1L; 2L; 3L ])) "in turn"

                  for group in 1L .. 3L do
                      let own = frames |> List.filter (fun frame -> frame.Group = group)
                      Expect.equal (own |> List.map _.HasMore) [ true; true; false; false ] "whole messages, one after the other"
                      Expect.equal (own |> List.map _.Length) [ frameBytes; frameBytes; frameBytes; 10 ] "all of each"
              }

          taskCase "replies take turns with requests"
          <| fun () ->
              task {
                  let sending = Sending(usual [ 1L; 2L ])
                  sending.Outbox.Reply(FrameKind.Reply, 1L, 77u, PeerMethod.SnapshotRead, ReadOnlyMemory(Array.zeroCreate (5 * frameBytes)))
                  sending.Call(2L, 10) |> ignore
                  Expect.equal (groups (sending.Rest())) [ 1L; 2L; 1L; 1L; 1L; 1L ] "one frame, then the other group"
              }

          taskCase "a group with too much under way waits, in order, while others go on"
          <| fun () ->
              task {
                  let sending = Sending limited
                  let calls = [ for size in 4001..4004 -> sending.Call(1L, size) ]
                  let first = sending.Rest()
                  Expect.equal (first |> List.map _.Length) [ 4001; 4002 ] "as much as the limit allows"
                  Expect.equal (sending.Outbox.Waiting 1L) 2 "the others wait"
                  // It would fit, but is not its turn.
                  let small = sending.Call(1L, 1)
                  let other = sending.Call(2L, 9000)
                  Expect.equal (groups (sending.Rest())) [ 2L ] "another group does not wait"
                  sending.Answer first[0]
                  Expect.equal (sending.Rest() |> List.map _.Length) [ 4003 ] "who waited first goes first"
                  sending.Answer first[1]
                  Expect.equal (sending.Rest() |> List.map _.Length) [ 4004; 1 ] "then the rest"
                  let! _ = soonResult calls[0]
                  let! _ = soonResult calls[1]
                  Expect.isFalse (small.IsCompleted || other.IsCompleted) "no reply to these"
              }

          taskCase "a request larger than its group's limit goes alone"
          <| fun () ->
              task {
                  let sending = Sending limited
                  let small = sending.Call(1L, 10)
                  let huge = sending.Call(1L, 50_000)
                  let last = sending.Call(1L, 20)
                  let first = sending.Rest()
                  Expect.equal (first |> List.map _.Length) [ 10 ] "not beside another"
                  sending.Answer first[0]
                  let second = sending.Rest()
                  Expect.equal (second |> List.map _.Length) [ 50_000 ] "alone"
                  sending.Answer second[0]
                  Expect.equal (sending.Rest() |> List.map _.Length) [ 20 ] "then the next"
                  let! _ = soonResult small
                  let! _ = soonResult huge
                  Expect.isFalse last.IsCompleted "still under way"
              }

          taskCase "empty requests count too"
          <| fun () ->
              task {
                  let sending = Sending limited

                  for _ in 1..100 do
                      sending.Call(1L, 0) |> ignore

                  Expect.isLessThan (sending.Rest().Length) 20 "each takes memory at the other side"
              }

          taskCase "a call that is cancelled while it waits is never sent, and makes room for who is behind it"
          <| fun () ->
              task {
                  let sending = Sending limited
                  use source = new CancellationTokenSource()
                  sending.Call(1L, 5000) |> ignore
                  let huge = sending.Call(1L, 50_000, source.Token)
                  sending.Call(1L, 6) |> ignore
                  Expect.equal (sending.Rest() |> List.map _.Length) [ 5000 ] "the second waits, and the third behind it"
                  source.Cancel()
                  let! cause = failure huge
                  Expect.isTrue (cause :? OperationCanceledException) "cancelled"
                  Expect.equal (sending.Rest() |> List.map _.Length) [ 6 ] "the way is free"
                  Expect.equal sending.Outbox.CallsUnderWay 2 "nothing is left of it"
              }

          taskCase "a call that is cancelled while it is sent is broken off, and one that was sent counts until its reply comes"
          <| fun () ->
              task {
                  let sending = Sending { limited with GroupBytes = 3 * frameBytes }
                  use source = new CancellationTokenSource()
                  let begun = sending.Call(1L, 2 * frameBytes, source.Token)
                  let behind = sending.Call(1L, 2 * frameBytes, source.Token)
                  let last = sending.Call(1L, 2 * frameBytes)
                  let first = sending.Next()
                  Expect.equal (first |> Option.map _.HasMore) (Some true) "one frame of two"
                  source.Cancel()
                  let! _ = failure begun
                  let! _ = failure behind
                  let rest = sending.Rest()

                  Expect.equal
                      (rest |> List.map _.Kind)
                      [ FrameKind.Abandoned; FrameKind.Request; FrameKind.Request ]
                      "given up, then the last"

                  Expect.equal (rest[0].Call, rest[0].Length) (first.Value.Call, 0) "what had begun"
                  Expect.isFalse last.IsCompleted "no reply yet"
                  use late = new CancellationTokenSource()
                  let sent = sending.Call(2L, 3 * frameBytes, late.Token)
                  let frames = sending.Rest()
                  late.Cancel()
                  let! _ = failure sent
                  sending.Call(2L, 100) |> ignore
                  Expect.isEmpty (sending.Rest()) "the other side still works on the one before"
                  sending.Answer frames[0]
                  Expect.equal (sending.Rest() |> List.map _.Length) [ 100 ] "its late reply makes room"
              }

          taskCase "what was sent when the connection closes is told apart from what was not, and no buffer is read any more"
          <| fun () ->
              task {
                  let sending = Sending { limited with GroupBytes = 10 * frameBytes }
                  let whole = sending.Call(1L, 10)
                  let partly = sending.Call(2L, 2 * frameBytes)
                  let never = sending.Call(3L, 10)
                  Expect.equal ([ sending.Next(); sending.Next() ] |> List.choose id |> groups) [ 1L; 2L ] "one frame each"
                  sending.Outbox.Close "the test says so"
                  Expect.isNone (sending.Next()) "nothing is written any more"
                  let! outcomes = Task.WhenAll [ isSent whole; isSent partly; isSent never; isSent (sending.Call(4L, 1)) ]
                  Expect.equal outcomes [| true; false; false; false |] "only a whole request can be acted on"
              }

          taskCase "on the wire too, a small call does not wait for another group's large ones"
          <| fun () ->
              task {
                  use site = new Site({ usual [ 1L; 2L ] with GroupBytes = 256 <<< 20 })
                  let! two = site.Start(2L, echo)
                  use stranger = new Stranger(two.ListensAt)
                  do! stranger.Enter(1L, 2L)
                  do! connected two 1L
                  // 2,048 frames, of which the buffers between the two hold some hundred while nobody reads.
                  let _large = [ for _ in 1..32 -> call two 1L 1L (Array.zeroCreate (64 * frameBytes)) ]
                  let small = call two 1L 2L [| 1uy |]
                  let mutable before = 0
                  let mutable found: uint32 option = None

                  while found.IsNone do
                      match! stranger.Receive() with
                      | _, 2L, id, _ -> found <- Some id
                      | _ -> before <- before + 1

                  Expect.isLessThan before 1024 "frames of the other group before it"
                  do! stranger.Send(frame FrameKind.Reply 2L found.Value [| 2uy |])
                  let! reply = soonResult small
                  Expect.equal reply [| 2uy |] "answered in the midst of the large ones"
              }

          taskCase "a group whose handler never answers blocks itself only"
          <| fun () ->
              task {
                  use site = new Site({ usual [ 1L; 2L ] with GroupBytes = 100_000 })
                  let served = ConcurrentBag<int64>()
                  let full = new CountdownEvent 2

                  let stuck =
                      handler (fun group _ request token ->
                          task {
                              served.Add group

                              if group = 1L then
                                  full.Signal() |> ignore
                                  do! Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token)

                              return request
                          })

                  let! one, _ = pairOf site echo stuck
                  let blocked = [ for _ in 1..10 -> call one 2L 1L (Array.zeroCreate 40_000) ]
                  Expect.isTrue (full.Wait patience) "two fit"

                  for _ in 1..100 do
                      let! _ = soonResult (call one 2L 2L (Array.zeroCreate 40_000))
                      ()

                  Expect.equal (served |> Seq.filter ((=) 1L) |> Seq.length) 2 "no more than fit"
                  Expect.isTrue (blocked |> List.forall (fun call -> not call.IsCompleted)) "none has an answer"
              } ]
