/// A follower that is written from the wire's description alone: it knows messages, not our code.
module Regatta.Node.Tests.WireFollower

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

let t = Bytes.text "t"
let withTable settings body = Nodes.using ([ "tables.names", "t" ] @ settings) body

/// A follower's copy of a table, and how far it is.
type Copy() =
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
let pull (node: RunningNode) (request: ReplicateRequest) =
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
let snapshot (node: RunningNode) =
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

let from (revision: uint64) = ReplicateRequest(Table = t, LeaderIndex = revision)

let applyAll (copy: Copy) (messages: ReplicateResponse list) =
    for message in messages do
        match message.ResponseCase with
        | ReplicateResponse.ResponseOneofCase.CommandsResponse ->
            for command in message.CommandsResponse.Commands do
                copy.Apply command
        | _ -> ()

let refusal (messages: ReplicateResponse list) =
    match messages with
    | [ only ] ->
        Expect.equal only.ResponseCase ReplicateResponse.ResponseOneofCase.ErrorResponse "a message, not a status"
        only
    | other -> failtestf "%d messages" other.Length

let error messages = (refusal messages).ErrorResponse

/// The keys `k0` to `k7`, so that ranges and transactions meet.
let randomWrite (draw: Random) (node: RunningNode) =
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

let content (node: RunningNode) =
    task {
        let! reply = node.Clients.Kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero))
        return reply.Header.Revision, [ for pair in reply.Kvs -> Convert.ToHexString(pair.Key.Span), Convert.ToHexString(pair.Value.Span) ]
    }
