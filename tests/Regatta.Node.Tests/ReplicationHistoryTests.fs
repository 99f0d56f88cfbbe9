/// What a leader site tells followers of its history, and the snapshots that it gives to those that are behind it.
module Regatta.Node.Tests.ReplicationHistoryTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Node.Tests.WireFollower
open Regatta.Protocol.Replication
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Testing

/// What the follower says of its own history.
let private knowing (table: string) revision (node: RunningNode) =
    task {
        let! hash = node.Clients.Site.TableHashAsync(TableHashRequest(Table = Bytes.text table, Revision = uint64 revision))
        // Any history that is not the table's gets the table's in the answer.
        let request = ReplicateRequest(Table = Bytes.text table, LeaderIndex = uint64 revision + 1UL, HistoryId = Bytes.ofLength 16)
        let! answer = pull node request
        let ours = refusal answer
        Expect.equal ours.ErrorResponse.Error ReplicateError.Diverged "another history"

        return
            ReplicateRequest(
                Table = Bytes.text table,
                LeaderIndex = uint64 revision + 1UL,
                HistoryId = ours.HistoryId,
                Incarnation = ours.Incarnation,
                ChainHash = hash.Nodes[0].ChainHash
            )
    }

let private fencing =
    [ Nodes.test "who names its history gets what follows if it is this one, from every revision on" (fun () ->
          withTable [] (fun node ->
              task {
                  for number in 1..5 do
                      let! _ = node.Put("t", "k", $"{number}")
                      ()

                  for revision in 1..5 do
                      let! request = knowing "t" revision node
                      let! messages = pull node request
                      Expect.equal (List.last messages).ResponseCase ReplicateResponse.ResponseOneofCase.None $"revision {revision}"
              }))

      Nodes.test "another chain hash at its revision is told, in the middle of the changelog and at its end" (fun () ->
          withTable [] (fun node ->
              task {
                  for number in 1..5 do
                      let! _ = node.Put("t", "k", $"{number}")
                      ()

                  for revision in 1..5 do
                      let! request = knowing "t" revision node
                      let bytes = request.ChainHash.ToByteArray()
                      bytes[revision] <- bytes[revision] ^^^ 1uy
                      request.ChainHash <- ByteString.CopyFrom bytes
                      let! messages = pull node request
                      Expect.equal (error messages).Error ReplicateError.Diverged $"revision {revision}"
              }))

      Nodes.test "a table that was made again is another one" (fun () ->
          withTable [] (fun node ->
              task {
                  let! _ = node.Put("t", "k", "v")
                  let! before = knowing "t" 1 node
                  let! _ = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "t"))
                  let! _ = node.Create "t"
                  let! _ = node.Put("t", "k", "v")
                  let! messages = pull node before
                  let told = refusal messages
                  Expect.equal told.ErrorResponse.Error ReplicateError.Diverged "not the same life"
                  Expect.equal told.HistoryId before.HistoryId "of the same history"
                  Expect.isGreaterThan told.Incarnation before.Incarnation "a later one"
              }))

      Nodes.test "a follower that is ahead is told so, and one that is behind the changelog is sent to a snapshot" (fun () ->
          withTable [ "changelog.max-count", "1" ] (fun node ->
              task {
                  for number in 1..4 do
                      let! _ = node.Put("t", "k", $"{number}")
                      ()

                  let! next = knowing "t" 4 node
                  let! _ = node.Put("t", "k", "5")
                  let mutable oldest = 1UL

                  while oldest < 5UL do
                      let! status = node.Clients.Cluster.StatusAsync(StatusRequest())
                      oldest <- status.Tables["t"].OldestRevision

                  let! ahead = pull node (from 7UL)
                  Expect.equal (error ahead).Error ReplicateError.LeaderBehind "ahead"
                  let! behind = pull node (from 4UL)
                  Expect.equal (error behind).Error ReplicateError.UseSnapshot "behind"
                  Expect.isGreaterThan (refusal behind).BehindBytes 0UL "bytes that it has not got"
                  let! request = knowing "t" 5 node
                  let! messages = pull node request
                  Expect.equal (List.last messages).ResponseCase ReplicateResponse.ResponseOneofCase.None "at the end"
                  // The hash at revision 4 is not there any more, but what follows it is.
                  let! messages = pull node next
                  Expect.equal (List.last messages).ResponseCase ReplicateResponse.ResponseOneofCase.None "at the changelog's beginning"
                  next.ChainHash <- Bytes.ofLength 16
                  let! messages = pull node next
                  Expect.equal (error messages).Error ReplicateError.Diverged "and another history there"
              })) ]

let private snapshots =
    [ Nodes.test "a snapshot has every key in order and ends with its revision" (fun () ->
          withTable [] (fun node ->
              task {
                  let! records, _ = snapshot node
                  let empty = Copy()
                  empty.Load records
                  Expect.equal (empty.Revision, empty.Rows) (0UL, []) "an empty table"
                  let draw = Random Seed.current

                  for _ in 1..200 do
                      do! randomWrite draw node

                  let! records, _ = snapshot node
                  let copy = Copy()
                  copy.Load records
                  let! revision, rows = content node
                  Expect.equal (copy.Revision, copy.Rows) (revision, rows) "the table"
                  let keys = [ for record in records |> List.take (records.Length - 1) -> Convert.ToHexString(record.Kv.Key.Span) ]
                  Expect.equal keys (List.sort keys) "in order"
              }))

      Nodes.test "a large table comes in chunks, and the view is closed when they are read or given up" (fun () ->
          withTable [] (fun node ->
              task {
                  let draw = Random Seed.current

                  for number in 1..40 do
                      let value = Array.zeroCreate<byte> 100_000
                      draw.NextBytes value
                      let request = PutRequest(Table = t, Key = Bytes.text $"k{number:d2}", Value = ByteString.CopyFrom value)
                      let! _ = node.Clients.Kv.PutAsync request
                      ()

                  let! records, lengths = snapshot node
                  Expect.equal records.Length 41 "all"
                  Expect.isGreaterThan lengths.Length 2 "several chunks"
                  Expect.all lengths (fun length -> length < 2_000_000) "none is much larger than 1 MiB"
                  let given = node.Clients.Snapshot.Stream(SnapshotRequest(Table = t))
                  let! _ = given.ResponseStream.MoveNext CancellationToken.None
                  given.Dispose()
                  do! node.Node.Snapshots.IdleAsync CancellationToken.None
              }))

      Nodes.test "a follower that is behind the changelog comes up by a snapshot and goes on by the log" (fun () ->
          withTable [ "changelog.max-count", "3" ] (fun node ->
              task {
                  let draw = Random Seed.current

                  for _ in 1..50 do
                      do! randomWrite draw node

                  let copy = Copy()
                  let! records, _ = snapshot node
                  copy.Load records

                  for _ in 1..3 do
                      do! randomWrite draw node

                  let! messages = pull node (from (copy.Revision + 1UL))
                  applyAll copy messages
                  let! revision, rows = content node
                  Expect.equal (copy.Revision, copy.Rows) (revision, rows) "the table"
              })) ]

let tests = testList "for follower sites" (fencing @ snapshots)
