module Regatta.Raft.Tests.PeerHandshakeTests

open System
open System.Net
open System.Net.Sockets
open System.Text
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.PeerFixtures

let private history (number: int) = Guid(number, 1s, 1s, Array.zeroCreate 8)

/// What node 1 says when it dials node 2, as it should be.
let private good = Hello("north", Nullable(history 1), 1L, 2L, storeOf 1L)

let private helloFrame (bytes: byte array) = frame FrameKind.Hello 0L 0u bytes

let private patched (position: int) (value: byte) =
    let bytes = good.Encode()
    bytes[position] <- value
    helloFrame bytes

let private said (hello: Hello) = helloFrame (hello.Encode())

/// First words that node 2 refuses, with its answer.
let private unwanted =
    [ "another magic", patched 0 0uy, "does not speak the protocol of Regatta's nodes"
      "another version", patched 4 9uy, "version 9"
      "another site", said (Hello("south", Nullable(history 1), 1L, 2L, storeOf 1L)), "the site 'south', the other to 'north'"
      "another history", said (Hello("north", Nullable(history 7), 1L, 2L, storeOf 1L)), "has data of the history 00000007"
      "an unknown node", said (Hello("north", Nullable(), 9L, 2L, storeOf 1L)), "Node 9 is no other member"
      "this node's own number", said (Hello("north", Nullable(), 2L, 2L, storeOf 1L)), "Node 2 is no other member"
      "another expectation", said (Hello("north", Nullable(), 1L, 3L, storeOf 1L)), "Node 3 is expected here, but this is node 2"
      "a node with a higher number", said (Hello("north", Nullable(), 3L, 2L, storeOf 3L)), "the one with the lower id dials"
      "a hello that is too short", helloFrame (good.Encode()[..40]), "first words are damaged"
      "a hello that is too long", helloFrame (Array.append (good.Encode()) [| 0uy |]), "first words are damaged"
      "a request", frame FrameKind.Request 1L 1u [| 1uy |], "does not speak the protocol"
      "no frame at all", Encoding.ASCII.GetBytes "GET / HTTP/1.1\r\nHost: north\r\n\r\n", "does not speak the protocol" ]

let private refused (words: byte array, answer: string) =
    task {
        use site = new Site({ usual [ 1L; 2L; 3L ] with History = fun _ -> Some(history 1) })
        use journal = new Journal()
        let! two = site.Start(2L, echo, journal)

        for _ in 1..3 do
            use stranger = new Stranger(two.ListensAt)
            do! stranger.Send words
            let! kind, _, _, body = stranger.Receive()
            Expect.equal kind FrameKind.Refused "a refusal"
            Expect.stringContains (Encoding.UTF8.GetString body) answer "its sentence"
            stranger.Finish()
            do! stranger.Ended()

        do! site.Stop 2L
        Expect.equal (journal.About answer).Length 1 "one warning, however often it was tried"

        Expect.equal
            (journal.Warnings |> List.filter (fun line -> not (line.Contains answer) && not (line.Contains "node 3")))
            []
            "and no other"
    }

/// Site settings under which nodes 1 and 2 refuse each other.
let private disagreements =
    let base' = usual [ 1L; 2L ]

    [ "sites", { base' with Name = fun id -> if id = 1L then "north" else "south" }, "belongs to the site 'north', the other to 'south'"
      "histories", { base' with History = fun id -> Some(history (int id)) }, "has data of the history"
      "members", { base' with Members = fun id -> if id = 1L then [ 1L; 2L ] else [ 2L; 3L ] }, "Node 1 is no other member of the site" ]

/// A port on which a test answers whom node 1 dials as node 2.
type private Answering() =
    let listener = new TcpListener(IPAddress.Loopback, 0)
    do listener.Start()
    member _.Address = listener.LocalEndpoint

    /// The next who dials, and its first words.
    member _.Next() =
        task {
            let! client = listener.AcceptTcpClientAsync().WaitAsync patience
            let stranger = new Stranger(client)
            let! kind, _, _, body = stranger.Receive()
            Expect.equal kind FrameKind.Hello "who dials says hello"
            return stranger, body
        }

    interface IDisposable with
        member _.Dispose() = listener.Dispose()

let private answered (words: byte array, reason: string) =
    task {
        use site = new Site([ 1L; 2L ])
        use journal = new Journal()
        use other = new Answering()
        site.Addresses[2L] <- other.Address
        let! one = site.Start(1L, echo, journal)

        for _ in 1..3 do
            let! stranger, hello = other.Next()
            use stranger = stranger
            Expect.equal hello (Hello("north", Nullable(), 1L, 2L, storeOf 1L).Encode()) "its hello"
            do! stranger.Send words
            let! kind, _, _, body = stranger.Receive()
            Expect.equal kind FrameKind.Refused "a refusal"
            Expect.stringContains (Encoding.UTF8.GetString body) reason "its sentence"

        Expect.isFalse one[2L].IsConnected "no connection"
        do! site.Stop 1L
        Expect.equal (journal.About reason).Length 1 "one warning"
    }

let tests =
    testList
        "Peer network, handshake"
        [ testList
              "a node that is dialled refuses"
              [ for name, words, answer in unwanted -> taskCase name (fun () -> refused (words, answer)) ]

          testList
              "a node that dials refuses"
              [ taskCase "another version" (fun () -> answered (patched 4 9uy, "version 9"))
                taskCase "another node" (fun () ->
                    answered (said (Hello("north", Nullable(), 3L, 1L, storeOf 3L)), "Node 3 is no other member of the site"))
                taskCase "another expectation" (fun () ->
                    answered (said (Hello("north", Nullable(), 2L, 4L, storeOf 2L)), "Node 4 is expected here, but this is node 1")) ]

          testList
              "both nodes log once what they do not agree on"
              [ for name, setting, sentence in disagreements ->
                    taskCase name (fun () ->
                        task {
                            use site = new Site(setting)
                            use first = new Journal()
                            use second = new Journal()
                            let! two = site.Start(2L, echo, second)
                            let! one = site.Start(1L, echo, first)
                            do! first.Has sentence
                            do! second.Has sentence
                            do! site.Attempts 8
                            Expect.isFalse one[2L].IsConnected "no connection"
                            Expect.equal (first.About sentence).Length 1 "node 1 tells its operator once"
                            Expect.stringContains (List.head (first.About sentence)) "it refuses this node: " "whose words they are"
                            Expect.equal (second.About sentence).Length 1 "node 2 as well"
                            Expect.stringContains (List.head (second.About sentence)) "it is refused: " "and that they are its own"
                            Expect.isGreaterThan two.ListensAt.Port 0 "it goes on listening"
                        }) ]

          taskCase "a node that answers at another's address is refused by both"
          <| fun () ->
              task {
                  use site = new Site([ 1L; 2L; 3L ])
                  use first = new Journal()
                  use third = new Journal()
                  let! three = site.Start(3L, echo, third)
                  site.Addresses[2L] <- three.ListensAt
                  let! one = site.Start(1L, echo, first)
                  do! first.Has "Node 2 is expected here, but this is node 3"
                  do! third.Has "Node 2 is expected here, but this is node 3"
                  do! connected one 3L
                  Expect.isFalse one[2L].IsConnected "that is not node 2"
              }

          taskCase "a new reason is logged, and a node without a history or with the same one is accepted"
          <| fun () ->
              task {
                  let mutable ours: Guid option = Some(history 1)

                  let setting =
                      { usual [ 1L; 2L ] with
                          History = fun id -> if id = 1L then Volatile.Read &ours else Some(history 2) }

                  use site = new Site(setting)
                  use journal = new Journal()
                  let! two = site.Start(2L, echo, journal)
                  let! one = site.Start(1L, echo)
                  do! journal.Has $"{history 1}"
                  Volatile.Write(&ours, Some(history 3))
                  do! journal.Has $"{history 3}"
                  Volatile.Write(&ours, None)
                  do! connected one 2L
                  do! connected two 1L
                  Expect.equal journal.Warnings.Length 2 "each reason once"
                  do! site.Stop 1L
                  Volatile.Write(&ours, Some(history 2))
                  let! again = site.Start(1L, echo)
                  do! connected again 2L
              } ]
