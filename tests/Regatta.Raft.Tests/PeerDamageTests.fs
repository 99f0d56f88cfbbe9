module Regatta.Raft.Tests.PeerDamageTests

open System
open System.Buffers
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.PeerFixtures

let private piece kind group (number: uint32) more (body: byte array) =
    let writer = ArrayBufferWriter<byte>()
    Frame(body.Length, group, number, kind, more, PeerMethod.Append).Write(writer, ReadOnlySpan body)
    writer.WrittenSpan.ToArray()

let private request number more size = piece FrameKind.Request 1L number more (Array.zeroCreate size)

let private setting = { usual [ 1L; 2L; 3L ] with MessageBytes = 100_000; GroupBytes = 100_000 }

/// What a node that both sides have accepted may not send, and what is logged about it.
let private damages =
    [ "a frame of an unknown kind", piece (LanguagePrimitives.EnumOfValue 99uy) 1L 1u false [||], "unknown kind"
      "a frame of kind 0", Array.zeroCreate<byte> Frame.HeaderBytes, "unknown kind"
      "a frame that is too large", request 1u false 65537, "more than 65536 bytes"
      "a second hello", piece FrameKind.Hello 0L 0u false [||], "kind Hello after the handshake"
      "a reply that nobody waits for", piece FrameKind.Reply 1L 1u false [||], "a reply that nobody waits for"
      "a part of a reply that nobody waits for", piece FrameKind.Reply 1L 1u true [| 1uy |], "a reply that nobody waits for"
      "a message that is too large", Array.append (request 1u true 60_000) (request 1u true 60_000), "more than 100000 bytes"
      "a message within another", Array.append (request 1u true 10) (request 2u false 10), "before the one before was complete"
      "a piece without content", request 1u true 0, "an empty piece"
      "the end of a request that had not begun", piece FrameKind.Abandoned 1L 1u false [||], "had not begun"
      "the end of another request",
      Array.append (request 1u true 10) (piece FrameKind.Abandoned 1L 2u false [||]),
      "another request than the one it had begun"
      "more requests than its limit allows",
      Array.concat [ for number in 1u .. 5u -> request number false 60_000 ],
      "without waiting for the replies"
      "a part of a frame", (request 1u false 100)[..50], "in the middle of a frame"
      "a part of a header", (request 1u false 100)[..10], "in the middle of a frame" ]

/// Nodes 2 and 3 are connected, and stay so whatever else comes to node 3's port.
let private unharmed (body: PeerNetwork -> Journal -> Task<unit>) =
    task {
        use site = new Site(setting)
        use journal = new Journal()
        let! three = site.Start(3L, silentExcept 9L, journal)
        let! two = site.Start(2L, echo)
        do! connected two 3L
        do! connected three 2L
        let before = call two 3L 1L [| 1uy |]
        do! body three journal
        let! reply = soonResult (call two 3L 9L [| 2uy |])
        Expect.equal reply [| 2uy |] "the other connection serves"
        Expect.isFalse before.IsCompleted "and is the same as before"
    }

let private fromRandom (random: Random) =
    let bytes = Array.zeroCreate<byte>(random.Next(1, 3000))
    random.NextBytes bytes
    bytes

/// Frames as they should be, of which some bytes are changed or lacking.
let private nearlyRight (random: Random) =
    let frames =
        Array.concat
            [ for number in 1u .. 10u ->
                  piece
                      (LanguagePrimitives.EnumOfValue(byte (random.Next(1, 10))))
                      (random.NextInt64 3L)
                      number
                      (random.Next 2 = 0)
                      (fromRandom random) ]

    for _ in 1 .. random.Next 4 do
        frames[random.Next frames.Length] <- byte (random.Next 256)

    frames[.. random.Next frames.Length]

let private attack (three: PeerNetwork) (random: Random) =
    task {
        use stranger = new Stranger(three.ListensAt)
        let bytes = if random.Next 2 = 0 then fromRandom random else nearlyRight random

        try
            match random.Next 3 with
            | 0 -> do! stranger.Send bytes
            | 1 ->
                do! stranger.Greet(Hello("north", Nullable(), 1L, 3L, Guid.Empty))
                do! stranger.Send bytes
            | _ ->
                do! stranger.Enter(1L, 3L)
                do! stranger.Send bytes

            stranger.Finish()
            do! stranger.Ended()
        with :? IO.IOException ->
            // The node was quicker to close.
            ()
    }

let tests =
    testList
        "Peer network, damage"
        [ testList
              "closes its own connection and no other"
              [ for name, bytes, reason in damages ->
                    taskCase name (fun () ->
                        unharmed (fun three journal ->
                            task {
                                use stranger = new Stranger(three.ListensAt)
                                do! stranger.Enter(1L, 3L)
                                do! connected three 1L
                                do! stranger.Send bytes
                                stranger.Finish()
                                do! stranger.Ended()
                                do! disconnected three 1L
                                do! journal.Has reason
                                Expect.equal (journal.About "node 1").Length 1 "one warning"
                            })) ]

          taskCase "random bytes at any moment harm nobody else"
          <| fun () ->
              unharmed (fun three _ ->
                  task {
                      for round in 1 .. Scale.pick 300 5000 do
                          let seed = Seed.current + round

                          try
                              do! attack three (Random seed)
                          with cause ->
                              failtestf "round %d, seed %d: %O" round Seed.current cause
                  })

          taskCase "whoever comes and goes without a word makes no difference"
          <| fun () ->
              unharmed (fun three _ ->
                  task {
                      for _ in 1..50 do
                          use _ = new Stranger(three.ListensAt)
                          ()
                  }) ]
