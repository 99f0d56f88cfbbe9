/// Whatever happens on the way, what arrives is the state that was asked for.
module Regatta.Raft.Tests.SnapshotFetchTests

open System
open System.IO
open System.Threading
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.SnapshotFixtures

let private expectWhole (serving: ServingNode) (fetched: FetchedSnapshot) =
    let wanted = serving.ContentAt fetched.Applied.Index
    Expect.equal fetched.Applied wanted.Applied "the state that it says"
    Expect.equal (contentOf fetched.Directory) wanted "the state that it holds"
    Expect.equal (Regatta.Storage.TableStore.ReadFlushed fetched.Directory) wanted.Applied "all of its files are of that state"
    Expect.equal fetched.LeaderTerm 5L "the leader's term"

let private size (directory: string) = Directory.GetFiles directory |> Array.sumBy (fun path -> FileInfo(path).Length)

/// A store's files by name, which it never gives to two, and length.
let private files (directory: string) =
    Directory.GetFiles directory |> Seq.map (fun path -> Path.GetFileName path, FileInfo(path).Length) |> Set.ofSeq

/// Replies are a little longer than their data.
let private withHeads (bytes: int64) = bytes + (bytes / int64 chunkBytes + 100L) * 10L

let private inFlightBytes = withHeads (int64 (inFlight * chunkBytes))

/// Fetches, and fetches again after each error, until it is done; every second time in a process of its own.
let private untilDone (path: string) (peer: DirectPeer) (between: int -> System.Threading.Tasks.Task<unit>) =
    task {
        let mutable result = None
        let mutable cuts = 0

        while result.IsNone do
            use node = new FetchingNode(path, TimeProvider.System)
            let mutable again = 2

            while result.IsNone && again > 0 do
                try
                    let! fetched = node.Fetch peer
                    result <- Some fetched
                with
                | :? PeerUnavailableException
                | :? SnapshotUnavailableException
                | :? InvalidDataException ->
                    cuts <- cuts + 1
                    again <- again - 1
                    do! between cuts
                    peer.Reconnect()

        return result.Value, cuts
    }

let private nothing _ = task { return () }

let private broken =
    testList
        "with a broken network"
        [ taskCase "arrives whole, and costs at most what was in flight at each cut"
          <| fun () ->
              task {
                  for round in 1 .. Scale.pick 12 300 do
                      use directory = new TemporaryDirectory()
                      let random = Random(Seed.current + round)
                      use serving = new ServingNode(Seed.current + round)
                      let peer = DirectPeer(serving, 2L)
                      let often = random.Next(4, 40)

                      peer.Fate <-
                          fun _ ->
                              match random.Next often with
                              | 0 -> CutBefore
                              | 1 -> CutAfter
                              | _ -> Answered

                      let! fetched, cuts = untilDone directory.Path peer nothing
                      expectWhole serving fetched
                      let limit = withHeads (size fetched.Directory) + int64 cuts * inFlightBytes
                      Expect.isLessThan peer.Sent limit $"bytes with {cuts} cuts, seed {Seed.current}, round {round}"
              }

          taskCase "arrives whole while snapshots vanish, the table goes on and bytes flip"
          <| fun () ->
              task {
                  for round in 1 .. Scale.pick 12 300 do
                      use directory = new TemporaryDirectory()
                      let random = Random(Seed.current - round)
                      use serving = new ServingNode(Seed.current - round)
                      let peer = DirectPeer(serving, 2L)

                      peer.Fate <-
                          fun _ ->
                              match random.Next 40 with
                              | 0 -> CutBefore
                              | 1 -> CutAfter
                              | 2
                              | 3 -> Flipped(random.Next 100_000)
                              | _ -> Answered

                      let between _ =
                          task {
                              if random.Next 3 = 0 then
                                  serving.Write(random.Next 4)
                                  do! serving.Forget()
                          }

                      let! fetched, _ = untilDone directory.Path peer between
                      expectWhole serving fetched
              } ]

let private resumed =
    testList
        "resumed"
        [ taskCase "by another process, goes on with the same snapshot where it stopped"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(1)
                  let peer = DirectPeer(serving, 2L)
                  peer.Fate <- fun method -> if method = PeerMethod.SnapshotRead && peer.Calls method > 30 then CutBefore else Answered

                  do!
                      task {
                          use node = new FetchingNode(directory.Path, TimeProvider.System)
                          let! cause = failing (node.Fetch peer)
                          Expect.isTrue (cause :? PeerUnavailableException) $"{cause}"
                      }

                  let before = peer.Sent
                  peer.Fate <- fun _ -> Answered
                  peer.Reconnect()
                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let! fetched = node.Fetch peer
                  expectWhole serving fetched
                  Expect.equal (peer.Calls PeerMethod.SnapshotOpen) 1 "opened once"
                  Expect.isLessThan peer.Sent (withHeads (size fetched.Directory) + inFlightBytes) $"after {before} bytes before the cut"
              }

          taskCase "when the snapshot is gone, takes over the files that the next one shares"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(2)
                  let peer = DirectPeer(serving, 2L)
                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let! first = node.Fetch peer
                  let whole, had = peer.Sent, files first.Directory
                  serving.Write 1
                  let! second = node.Fetch(peer, first.Applied.Index + 1L, CancellationToken.None)
                  expectWhole serving second
                  Expect.isGreaterThan second.Applied.Index first.Applied.Index "newer"
                  // How many are shared is up to the store, which may have merged some in between.
                  let fresh = files second.Directory - had |> Seq.sumBy snd
                  Expect.isLessThan (peer.Sent - whole) (withHeads fresh) $"only {fresh} bytes of {size second.Directory} are new"
              }

          taskCase "from another node, mixes no files of the two, though they have the same names"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use one = new ServingNode(30)
                  use other = new ServingNode(30)
                  let peer = DirectPeer(one, 2L)
                  peer.Fate <- fun method -> if method = PeerMethod.SnapshotRead && peer.Calls method > 40 then CutBefore else Answered
                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let! _ = failing (node.Fetch peer)
                  let! fetched = node.Fetch(DirectPeer(other, 2L))
                  expectWhole other fetched
              }

          taskCase "when it is complete, is not fetched again"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(3)
                  let peer = DirectPeer(serving, 2L)
                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let! _ = node.Fetch peer
                  let sent = peer.Sent
                  let! again = node.Fetch peer
                  expectWhole serving again
                  Expect.equal peer.Sent sent "nothing was sent"
              }

          taskCase "with a manifest that is damaged, begins anew"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(4)
                  let peer = DirectPeer(serving, 2L)
                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let! first = node.Fetch peer
                  flipByte (directory.Sub $"snapshots/{group}/manifest")
                  flipByte (Path.Combine(first.Directory, "CURRENT"))
                  let! again = node.Fetch peer
                  expectWhole serving again
              } ]

let private damaged =
    testList
        "damaged"
        [ taskCase "on the way, is found in the chunk and read again"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(5)
                  let peer = DirectPeer(serving, 2L)
                  let mutable flips = 0

                  peer.Fate <-
                      fun method ->
                          if method = PeerMethod.SnapshotRead && peer.Calls method % 10 = 0 then
                              flips <- flips + 1
                              Flipped(100 * flips)
                          else
                              Answered

                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let! fetched = node.Fetch peer
                  expectWhole serving fetched
                  Expect.isGreaterThan flips 5 "it happened"

                  Expect.isLessThan
                      peer.Sent
                      (withHeads (size fetched.Directory) + int64 flips * withHeads (int64 chunkBytes))
                      "only those chunks"
              }

          taskCase "each time, ends the fetch with a sentence; the next one goes on"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(6)
                  let peer = DirectPeer(serving, 2L)
                  peer.Fate <- fun method -> if method = PeerMethod.SnapshotRead && peer.Calls method > 20 then Flipped 50 else Answered
                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let! cause = failing (node.Fetch peer)
                  Expect.isTrue (cause :? InvalidDataException) $"{cause}"
                  let before = peer.Sent
                  peer.Fate <- fun _ -> Answered
                  let! fetched = node.Fetch peer
                  expectWhole serving fetched
                  Expect.isLessThan (peer.Sent - before) (withHeads (size fetched.Directory) - int64 (10 * chunkBytes)) "it went on"
              }

          taskCase "on this node's disk before it was complete, is fetched again"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(7)
                  let peer = DirectPeer(serving, 2L)
                  let small file = FileInfo(file).Length < int64 (2 * chunkBytes)
                  let parts () = Directory.GetFiles(directory.Sub $"snapshots/{group}/parts")
                  let mutable limit = 10

                  peer.Fate <- fun method -> if method = PeerMethod.SnapshotRead && peer.Calls method > limit then CutBefore else Answered
                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let! _ = failing (node.Fetch peer)

                  while Array.forall small (parts ()) do
                      limit <- limit + 3
                      peer.Reconnect()
                      let! _ = failing (node.Fetch peer)
                      ()

                  let parts = parts ()
                  Expect.hasLength parts 1 "one file was under way"
                  // What a power loss may leave of a file that was not synced.
                  File.WriteAllBytes(parts[0], Array.zeroCreate (int (FileInfo(parts[0]).Length)))
                  peer.Fate <- fun _ -> Answered
                  peer.Reconnect()
                  let! fetched = node.Fetch peer
                  expectWhole serving fetched
              }

          taskCase "at the source for good, ends the fetch after a few times"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(8)
                  let peer = DirectPeer(serving, 2L)

                  peer.Fate <-
                      fun method ->
                          if method = PeerMethod.SnapshotRead && peer.Calls method = 1 then
                              for path in Directory.GetFiles(serving.Scratch, "MANIFEST*", SearchOption.AllDirectories) do
                                  flipByte path

                          Answered

                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let! cause = failing (node.Fetch peer)
                  Expect.isTrue (cause :? InvalidDataException && cause.Message.Contains "MANIFEST") $"{cause}"
                  do! serving.Forget()
                  serving.Write 1
                  let! fetched = node.Fetch peer
                  expectWhole serving fetched
              } ]

let tests = testList "a fetched snapshot" [ broken; resumed; damaged ]
