/// What a leader site tells its followers. The follower here is written from the wire's description alone: it knows messages, not our code.
module Regatta.Node.Tests.ReplicationTests

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.IO
open System.IO.Compression
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.Mvcc
open Regatta.Protocol.Replication
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Testing
open Snappier

let private t = Bytes.text "t"
let private withTable settings body = Nodes.using ([ "tables.names", "t" ] @ settings) body

/// A follower's copy of a table, and how far it is.
type private Copy() =
    let rows =
        SortedDictionary<byte array, byte array>(
            Comparer.Create(fun (a: byte array) b -> ReadOnlySpan(a).SequenceCompareTo(ReadOnlySpan b))
        )

    let mutable revision = 0UL

    let compare (a: byte array) (b: byte array) = ReadOnlySpan(a).SequenceCompareTo(ReadOnlySpan b)

    let delete (key: byte array) (rangeEnd: byte array) =
        let isMeant (other: byte array) =
            match rangeEnd with
            | [||] -> compare other key = 0
            | [| 0uy |] -> compare other key >= 0
            | _ -> compare other key >= 0 && compare other rangeEnd < 0

        for gone in rows.Keys |> Seq.filter isMeant |> Seq.toArray do
            rows.Remove gone |> ignore

    /// What a snapshot holds: every key, then the revision.
    member _.Load(records: Command list) =
        rows.Clear()

        for record in records |> List.take (records.Length - 1) do
            Expect.equal record.Type Command.Types.CommandType.Put "a key"
            rows.Add(record.Kv.Key.ToByteArray(), record.Kv.Value.ToByteArray())

        Expect.equal (List.last records).Type Command.Types.CommandType.Dummy "the end"
        revision <- (List.last records).LeaderIndex

    member _.Revision = revision
    member _.Rows = [ for pair in rows -> Convert.ToHexString pair.Key, Convert.ToHexString pair.Value ]

    member _.Apply(command: ReplicateCommand) =
        Expect.equal command.LeaderIndex (revision + 1UL) "every revision once, in order"
        Expect.equal command.Command.LeaderIndex command.LeaderIndex "the command says it, too"
        revision <- command.LeaderIndex

        match command.Command.Type with
        | Command.Types.CommandType.Dummy -> ()
        | Command.Types.CommandType.Put -> rows[command.Command.Kv.Key.ToByteArray()] <- command.Command.Kv.Value.ToByteArray()
        | Command.Types.CommandType.Txn ->
            Expect.isEmpty command.Command.Txn.Compare "nothing to decide"

            for operation in command.Command.Txn.Success do
                match operation.RequestCase with
                | RequestOp.RequestOneofCase.RequestPut ->
                    rows[operation.RequestPut.Key.ToByteArray()] <- operation.RequestPut.Value.ToByteArray()
                | RequestOp.RequestOneofCase.RequestDeleteRange ->
                    delete (operation.RequestDeleteRange.Key.ToByteArray()) (operation.RequestDeleteRange.RangeEnd.ToByteArray())
                | other -> failtestf "an operation %O" other
        | other -> failtestf "a command %O" other

/// The messages of a stream that ends.
let private pull (node: RunningNode) (request: ReplicateRequest) =
    task {
        use call = node.Clients.Log.Replicate request
        let messages = ResizeArray<ReplicateResponse>()

        while! call.ResponseStream.MoveNext CancellationToken.None do
            messages.Add call.ResponseStream.Current

        return List.ofSeq messages
    }

let rec private records (bytes: ReadOnlyMemory<byte>) (read: Command list) =
    if bytes.IsEmpty then
        List.rev read
    else
        let length = int (BinaryPrimitives.ReadUInt64LittleEndian bytes.Span)
        records (bytes.Slice(8 + length)) (Command.Parser.ParseFrom(bytes.Slice(8, length).Span) :: read)

/// A snapshot's records and the lengths of its chunks.
let private snapshot (node: RunningNode) =
    task {
        use call = node.Clients.Snapshot.Stream(SnapshotRequest(Table = t))
        use compressed = new MemoryStream()
        let lengths = ResizeArray<int>()

        while! call.ResponseStream.MoveNext CancellationToken.None do
            let chunk = call.ResponseStream.Current
            Expect.equal chunk.Len (uint64 chunk.Data.Length) "the length is the chunk's"
            Expect.equal chunk.Index 0UL "not used"
            lengths.Add chunk.Data.Length
            chunk.Data.WriteTo compressed

        compressed.Position <- 0L
        use plain = new MemoryStream()
        use snappy = new SnappyStream(compressed, CompressionMode.Decompress)
        snappy.CopyTo plain

        return records (ReadOnlyMemory(plain.ToArray())) [], List.ofSeq lengths
    }

let private from (revision: uint64) = ReplicateRequest(Table = t, LeaderIndex = revision)

let private applyAll (copy: Copy) (messages: ReplicateResponse list) =
    for message in messages do
        match message.ResponseCase with
        | ReplicateResponse.ResponseOneofCase.CommandsResponse ->
            for command in message.CommandsResponse.Commands do
                copy.Apply command
        | _ -> ()

let private refusal (messages: ReplicateResponse list) =
    match messages with
    | [ only ] ->
        Expect.equal only.ResponseCase ReplicateResponse.ResponseOneofCase.ErrorResponse "a message, not a status"
        only
    | other -> failtestf "%d messages" other.Length

let private error messages = (refusal messages).ErrorResponse

/// The keys `k0` to `k7`, so that ranges and transactions meet.
let private randomWrite (draw: Random) (node: RunningNode) =
    let key () = Bytes.text $"k{draw.Next 8}"
    let value () = Bytes.text (String('v', draw.Next 100))

    let rangeEnd () =
        match draw.Next 3 with
        | 0 -> ByteString.Empty
        | 1 -> Bytes.zero
        | _ -> key ()

    let operation () =
        match draw.Next 3 with
        | 0 -> RequestOp(RequestDeleteRange = RequestOp.Types.DeleteRange(Key = key (), RangeEnd = rangeEnd ()))
        | _ -> RequestOp(RequestPut = RequestOp.Types.Put(Key = key (), Value = value ()))

    task {
        match draw.Next 4 with
        | 0 ->
            let! _ = node.Clients.Kv.DeleteRangeAsync(DeleteRangeRequest(Table = t, Key = key (), RangeEnd = rangeEnd ()))
            ()
        | 1 ->
            let request = TxnRequest(Table = t)

            request.Compare.Add(
                Compare(
                    Key = key (),
                    Target = Compare.Types.CompareTarget.Value,
                    Result = Compare.Types.CompareResult.Less,
                    Value = Bytes.text "vvvvvvvvvv"
                )
            )

            request.Success.Add(operation ())
            request.Success.Add(operation ())
            request.Failure.Add(operation ())
            let! _ = node.Clients.Kv.TxnAsync request
            ()
        | _ ->
            let! _ = node.Clients.Kv.PutAsync(PutRequest(Table = t, Key = key (), Value = value ()))
            ()
    }

let private content (node: RunningNode) =
    task {
        let! reply = node.Clients.Kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero))
        return reply.Header.Revision, [ for pair in reply.Kvs -> Convert.ToHexString(pair.Key.Span), Convert.ToHexString(pair.Value.Span) ]
    }

let private pulling =
    [ Nodes.test "a follower has the same table when it has read the log, whatever was done to it" (fun () ->
          withTable [] (fun node ->
              task {
                  let draw = Random Seed.current

                  for _ in 1..400 do
                      do! randomWrite draw node

                  let copy = Copy()
                  let! messages = pull node (from 1UL)
                  applyAll copy messages
                  let! revision, rows = content node
                  Expect.equal copy.Revision revision "all revisions"
                  Expect.equal copy.Rows rows "the same records"
                  let last = List.last messages
                  Expect.equal last.ResponseCase ReplicateResponse.ResponseOneofCase.None "the end has no content"
                  Expect.equal last.LeaderIndex revision "and says how far the table is"
              }))

      Nodes.test "it goes on where it was" (fun () ->
          withTable [] (fun node ->
              task {
                  let copy = Copy()

                  for round in 1..3 do
                      for number in 1..5 do
                          let! _ = node.Put("t", $"k{number}", $"{round}")
                          ()

                      let! messages = pull node (from (copy.Revision + 1UL))
                      applyAll copy messages

                  Expect.equal copy.Revision 15UL "each once"
                  let! nothing = pull node (from 16UL)

                  Expect.equal
                      [ for message in nothing -> message.ResponseCase ]
                      [ ReplicateResponse.ResponseOneofCase.None ]
                      "only the end"
              }))

      Nodes.test "messages are no larger than asked for, but for a single larger revision" (fun () ->
          withTable [ "replication.max-send-message-size-bytes", "64KiB" ] (fun node ->
              task {
                  for number in 1..40 do
                      let! _ = node.Put("t", $"k{number}", String('v', (if number = 20 then 200_000 else 10_000)))
                      ()

                  let! messages = pull node (from 1UL)
                  let copy = Copy()
                  applyAll copy messages
                  Expect.equal copy.Revision 40UL "all"

                  for message in messages do
                      if message.CalculateSize() > 68_000 then
                          Expect.equal
                              [ for command in message.CommandsResponse.Commands -> command.LeaderIndex ]
                              [ 20UL ]
                              "the large one, alone"
              }))

      Nodes.test "a stream that follows carries what is committed afterwards" (fun () ->
          withTable [] (fun node ->
              task {
                  let request = from 1UL
                  request.Follow <- true
                  use call = node.Clients.Log.Replicate request
                  let copy = Copy()

                  for number in 1..20 do
                      let! _ = node.Put("t", "k", $"{number}")

                      while copy.Revision < uint64 number do
                          let! isOpen = call.ResponseStream.MoveNext CancellationToken.None
                          Expect.isTrue isOpen "it does not end"
                          applyAll copy [ call.ResponseStream.Current ]
                          Expect.isGreaterThanOrEqual call.ResponseStream.Current.LeaderIndex copy.Revision "the table's revision"

                  Expect.equal copy.Rows [ Convert.ToHexString("k"B), Convert.ToHexString("20"B) ] "the last value"
              }))

      Nodes.test "a stream that follows ends when the node stops, and when its table is deleted" (fun () ->
          withTable [] (fun node ->
              task {
                  let follow () =
                      let request = from 1UL
                      request.Follow <- true
                      node.Clients.Log.Replicate request

                  let ending (call: AsyncServerStreamingCall<ReplicateResponse>) =
                      Status.ofCall (
                          task {
                              while! call.ResponseStream.MoveNext CancellationToken.None do
                                  ()
                          }
                      )

                  use deleted = follow ()
                  let! _ = node.Put("t", "k", "v")
                  let! isOpen = deleted.ResponseStream.MoveNext CancellationToken.None
                  Expect.isTrue isOpen "it is on its way"
                  let! _ = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "t"))
                  let! gone = ending deleted

                  Expect.equal
                      (gone.StatusCode, gone.Detail)
                      (StatusCode.Unavailable, "the table was closed while the call ran")
                      "deleted"

                  let! _ = node.Create "t"
                  let! _ = node.Put("t", "k", "v")
                  use stopped = follow ()
                  let! isOpen = stopped.ResponseStream.MoveNext CancellationToken.None
                  Expect.isTrue isOpen "it is on its way"
                  let stopping = node.Node.StopAsync()
                  let! status = ending stopped

                  Expect.equal
                      (status.StatusCode, status.Detail)
                      (StatusCode.Unavailable, "the node is stopping; try another one")
                      "stopped"

                  do! stopping
              })) ]

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

let private around =
    [ Nodes.test "the list of tables is sorted by name" (fun () ->
          Nodes.using [ "tables.names", "b,a,c" ] (fun node ->
              task {
                  let! reply = node.Clients.Metadata.GetAsync(MetadataRequest())

                  Expect.equal
                      [ for table in reply.Tables -> table.Name, table.Type ]
                      [ for name in [ "a"; "b"; "c" ] -> name, Table.Types.Type.Replicated ]
                      "all"
              }))

      Nodes.test "the port takes the writes that follower sites pass on" (fun () ->
          withTable [] (fun node ->
              task {
                  let! reply = node.Clients.ReplicationKv.PutAsync(PutRequest(Table = t, Key = Bytes.text "k", Value = Bytes.text "v"))
                  Expect.equal reply.Header.Revision 1UL "its revision"
                  let! value = node.Get("t", "k")
                  Expect.equal value (Some "v") "there"
              }))

      Nodes.test "nothing listens where replication is not enabled" (fun () ->
          withTable [ "replication.enabled", "false" ] (fun node ->
              task {
                  Expect.isNull node.Node.ReplicationAddress "no port"
                  let! _ = node.Put("t", "k", "v")
                  ()
              })) ]

let tests = testList "for follower sites" (pulling @ fencing @ snapshots @ around)
