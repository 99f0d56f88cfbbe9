/// A node gives its tables' states away without keeping more of them than it must, and no faster than it may.
module Regatta.Raft.Tests.SnapshotSourceTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Logging.Abstractions
open Microsoft.Extensions.Time.Testing
open Regatta.Core
open Regatta.Raft
open Regatta.Storage
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.SnapshotFixtures

let private call (serving: ServingNode) from group method (request: byte array) =
    serving.Source.HandleAsync(from, group, method, ReadOnlyMemory request, CancellationToken.None).AsTask() |> soonResult

let private openAt (serving: ServingNode) from group least =
    task {
        let! reply = call serving from group PeerMethod.SnapshotOpen (SnapshotOpenRequest(least).Encode())
        return SnapshotOpenReply.Decode reply.Span
    }

let private openNow serving from group =
    task {
        let! reply = openAt serving from group 0L
        Expect.equal reply.Status SnapshotOpenStatus.Ready "ready"
        return nonNull reply.Manifest
    }

let private close serving from group id =
    task {
        let! reply = call serving from group PeerMethod.SnapshotClose (SnapshotCloseRequest(id).Encode())
        SnapshotCloseRequest.DecodeReply reply.Span
    }

/// The first bytes of the first file; false: the snapshot is gone.
let private read serving from group id =
    task {
        let! reply = call serving from group PeerMethod.SnapshotRead (SnapshotReadRequest(id, 0, 0L, 4).Encode())
        return SnapshotReadReply.Decode(reply, 4).HasValue
    }

let private status (reply: SnapshotOpenReply) = reply.Status

let private sharing =
    testList
        "sharing"
        [ taskCase "who asks while it is young gets the same one, and it goes when the last has closed it"
          <| fun () ->
              task {
                  use serving = new ServingNode(1)
                  let! both = Task.WhenAll [| openNow serving 2L group; openNow serving 3L group |]
                  Expect.equal both[0].Id both[1].Id "the same"
                  Expect.equal serving.Checkpoints 1 "one checkpoint"
                  do! close serving 2L group both[0].Id
                  do! close serving 2L group both[0].Id
                  let! there = read serving 3L group both[0].Id
                  Expect.isTrue there "the other one needs it"
                  do! close serving 3L group both[0].Id
                  let! there = read serving 3L group both[0].Id
                  Expect.isFalse there "gone"
                  Expect.equal (serving.OnDisk, serving.Source.Open) (0, 0) "nothing is left"
              }

          taskCase "two nodes fetch the same one at once"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(2)
                  use one = new FetchingNode(directory.Sub "one", TimeProvider.System)
                  use other = new FetchingNode(directory.Sub "other", TimeProvider.System)
                  let! fetched = Task.WhenAll [| one.Fetch(DirectPeer(serving, 4L)); other.Fetch(DirectPeer(serving, 5L)) |]
                  Expect.equal serving.Checkpoints 1 "one checkpoint"

                  for snapshot in fetched do
                      Expect.equal (contentOf snapshot.Directory) (serving.ContentAt snapshot.Applied.Index) "whole"

                  Expect.equal (serving.OnDisk, serving.Source.Open) (0, 0) "nothing is left"
              }

          taskCase "who asks later, or needs more, gets one of his own"
          <| fun () ->
              task {
                  use serving = new ServingNode(3)
                  let! first = openNow serving 2L group
                  serving.Write 1
                  let! more = openAt serving 3L group (first.Applied.Index + 1L)
                  Expect.equal (nonNull more.Manifest).Applied.Index (first.Applied.Index + 1L) "with what is needed"
                  serving.Time.Advance(TimeSpan.FromSeconds 29.)
                  let! young = openNow serving 4L group
                  serving.Time.Advance(TimeSpan.FromSeconds 2.)
                  let! fresh = openNow serving 4L group
                  Expect.isFalse (fresh.Id = young.Id || fresh.Id = first.Id) "31 s are too old"
                  Expect.equal serving.Checkpoints 3 "checkpoints"
                  let! ahead = openAt serving 5L group (fresh.Applied.Index + 1L)
                  Expect.equal (status ahead) SnapshotOpenStatus.Behind "the table itself is not there yet"
                  serving.Write 1
                  let! ahead = openAt serving 5L group (fresh.Applied.Index + 1L)
                  Expect.equal (status ahead) SnapshotOpenStatus.Busy "full, and none is good enough"
                  do! close serving 2L group first.Id
                  let! ahead = openAt serving 5L group (fresh.Applied.Index + 1L)
                  Expect.equal (status ahead) SnapshotOpenStatus.Ready "now there is room"
                  Expect.equal serving.Checkpoints 4 "checkpoints"
              }

          taskCase "a file that has got shorter is damaged, which is not the asker's fault"
          <| fun () ->
              task {
                  use serving = new ServingNode(5)
                  let! opened = openNow serving 2L group
                  let first = Seq.head opened.Files

                  for file in Directory.GetFiles(serving.Scratch, first.Name, SearchOption.AllDirectories) do
                      File.WriteAllBytes(file, [||])

                  let request = SnapshotReadRequest(opened.Id, 0, 0L, 4).Encode()
                  let! cause = failing (call serving 2L group PeerMethod.SnapshotRead request)
                  Expect.isTrue (cause :? StorageCorruptionException) (string cause)
                  Expect.stringContains cause.Message "was longer when the snapshot was made" "says what it found"
              }

          taskCase "a checkpoint that fails is told, and tried again by the next one"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let mutable tries = 0

                  let origin =
                      SnapshotOrigin(
                          Action<string>(fun path ->
                              tries <- tries + 1
                              Directory.CreateDirectory path |> ignore
                              Directory.CreateDirectory(path + ".creating.tmp") |> ignore
                              raise (IOException "no room")),
                          (fun () -> AppliedState()),
                          (fun () -> 5L)
                      )

                  use source =
                      new SnapshotSource(
                          directory.Path,
                          (fun _ -> origin),
                          SnapshotSourceOptions(),
                          TimeProvider.System,
                          NullLogger<SnapshotSource>.Instance
                      )

                  for _ in 1..5 do
                      let request = ReadOnlyMemory(SnapshotOpenRequest(0L).Encode())
                      let! cause = failing (source.HandleAsync(2L, 1L, PeerMethod.SnapshotOpen, request, CancellationToken.None).AsTask())
                      Expect.equal cause.Message "no room" "its own words"

                  Expect.equal (tries, source.Open) (5, 0) "none is kept"
                  Expect.isEmpty (Directory.GetDirectories directory.Path) "nor on disk"
              } ]

let private limits =
    testList
        "limits"
        [ taskCase "three are open at a time; a fourth table is refused until one is closed"
          <| fun () ->
              task {
                  use serving = new ServingNode(4)
                  let! first = openNow serving 2L 1L
                  let! _ = openNow serving 2L 2L
                  let! third = openNow serving 2L 3L
                  let! refused = openAt serving 2L 4L 0L
                  Expect.equal (status refused) SnapshotOpenStatus.Busy "busy"
                  serving.Time.Advance(TimeSpan.FromSeconds 40.)
                  let! shared = openNow serving 3L 3L
                  Expect.equal shared.Id third.Id "an old one is better than none"
                  do! close serving 2L 1L first.Id
                  let! _ = openNow serving 2L 4L
                  Expect.equal (serving.OnDisk, serving.Source.Open) (3, 3) "three"
              }

          taskCase "one that nobody reads for 60 s is removed; one that is read stays"
          <| fun () ->
              task {
                  use serving = new ServingNode(5)
                  let! idle = openNow serving 2L 1L
                  let! used = openNow serving 2L 2L

                  for _ in 1..6 do
                      serving.Time.Advance(TimeSpan.FromSeconds 11.)
                      let! there = read serving 2L 2L used.Id
                      Expect.isTrue there "in use"
                      do! serving.Source.SweepAsync()

                  Expect.equal (serving.OnDisk, serving.Source.Open) (1, 1) "the idle one is gone"
                  let! there = read serving 2L 1L idle.Id
                  Expect.isFalse there "and says so"
                  serving.Time.Advance(TimeSpan.FromSeconds 59.)
                  do! serving.Source.SweepAsync()
                  let! there = read serving 2L 2L used.Id
                  Expect.isTrue there "59 s are not too long"
                  serving.Time.Advance(TimeSpan.FromSeconds 60.)
                  do! serving.Source.SweepAsync()
                  Expect.equal (serving.OnDisk, serving.Source.Open) (0, 0) "gone"
              }

          taskCase "the source's end removes all"
          <| fun () ->
              task {
                  use serving = new ServingNode(6)
                  let! _ = openNow serving 2L 1L
                  do! (serving.Source :> IAsyncDisposable).DisposeAsync()
                  Expect.equal serving.OnDisk 0 "removed"
                  let! cause = failing (openNow serving 2L 1L)
                  Expect.isTrue (cause :? ObjectDisposedException) $"{cause}"
              }

          taskCase "reads of all tables share the rate"
          <| fun () ->
              task {
                  use serving = new ServingNode(7, SnapshotSourceOptions(BytesPerSecond = 1L))
                  let! one = openNow serving 2L 1L
                  let! other = openNow serving 2L 2L

                  let request (id: Guid) count =
                      let file = one.Files |> Seq.findIndex (fun file -> file.Bytes > 4096L)
                      SnapshotReadRequest(id, file, 0L, count).Encode()

                  // The burst is one chunk of 1 MiB: what is left of it lets one more read through.
                  for _ in 1 .. (1 <<< 20) / 4096 do
                      let! _ = call serving 2L 1L PeerMethod.SnapshotRead (request one.Id 4096)
                      ()

                  let waiting = call serving 2L 2L PeerMethod.SnapshotRead (request other.Id 10)
                  serving.Time.Advance(TimeSpan.FromSeconds 9.)
                  Expect.isFalse waiting.IsCompleted "9 of 10 bytes"
                  serving.Time.Advance(TimeSpan.FromSeconds 1.)
                  let! _ = soonResult waiting
                  ()
              } ]

let private refusals =
    testList
        "refuses"
        [ taskCase "what is not there, with a sentence"
          <| fun () ->
              task {
                  use serving = new ServingNode(8)
                  let! cause = failing (openNow serving 2L 77L)
                  Expect.equal cause.Message "Group 77 is not on this node." "group"
                  let! manifest = openNow serving 2L group
                  let size = manifest.Files[0].Bytes

                  for request in
                      [ SnapshotReadRequest(manifest.Id, manifest.Files.Count, 0L, 1)
                        SnapshotReadRequest(manifest.Id, 0, size, 1)
                        SnapshotReadRequest(manifest.Id, 0, 0L, int size + 1)
                        SnapshotReadRequest(manifest.Id, 0, Int64.MaxValue, 1) ] do
                      let! cause = failing (call serving 2L group PeerMethod.SnapshotRead (request.Encode()))
                      Expect.isTrue (cause :? InvalidDataException) $"{cause}"

                  let! there = read serving 2L 1L manifest.Id
                  Expect.isFalse there "another group's snapshot"
                  do! close serving 2L 1L manifest.Id
                  let! there = read serving 2L group manifest.Id
                  Expect.isTrue there "is not closed by that group"
              } ]

let tests = testList "a node that serves snapshots" [ sharing; limits; refusals ]
