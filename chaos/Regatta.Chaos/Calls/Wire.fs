/// Requests of the specification as messages of the wire, and answers back.
module internal Regatta.Chaos.Wire

open Google.Protobuf
open Regatta.Spec
open Regatta.Protocol
open Regatta.Protocol.V1

let string (bytes: Bytes) = ByteString.CopyFrom(bytes.ToArray())
let private bytes (string: ByteString) = Bytes.OfSpan string.Span
let private rangeEnd (range: KeyRange) = range.End |> Option.map string |> Option.defaultValue ByteString.Empty

let private pair (kv: Mvcc.KeyValue) : KeyValue =
    { Key = bytes kv.Key
      Entry =
        { Value = bytes kv.Value
          CreateRevision = kv.CreateRevision
          ModRevision = kv.ModRevision
          Version = kv.Version } }

let private previous (kv: Mvcc.KeyValue | null) = kv |> Option.ofObj |> Option.map pair

let private compared (compare: Compare) =
    let result =
        match compare.Relation with
        | Relation.Equal -> Mvcc.Compare.Types.CompareResult.Equal
        | Relation.NotEqual -> Mvcc.Compare.Types.CompareResult.NotEqual
        | Relation.Greater -> Mvcc.Compare.Types.CompareResult.Greater
        | Relation.Less -> Mvcc.Compare.Types.CompareResult.Less

    let message = Mvcc.Compare(Result = result, Key = string compare.Range.Key, RangeEnd = rangeEnd compare.Range)

    match compare.Operand with
    | Operand.Value value ->
        message.Target <- Mvcc.Compare.Types.CompareTarget.Value
        message.Value <- string value
    | Operand.Version version ->
        message.Target <- Mvcc.Compare.Types.CompareTarget.Version
        message.Version <- version
    | Operand.CreateRevision revision ->
        message.Target <- Mvcc.Compare.Types.CompareTarget.Create
        message.CreateRevision <- revision
    | Operand.ModRevision revision ->
        message.Target <- Mvcc.Compare.Types.CompareTarget.Mod
        message.ModRevision <- revision
    | Operand.Exists -> ()

    message

let private operation (op: Op) =
    match op with
    | Op.Range range ->
        Mvcc.RequestOp(
            RequestRange =
                Mvcc.RequestOp.Types.Range(
                    Key = string range.Range.Key,
                    RangeEnd = rangeEnd range.Range,
                    Limit = range.Limit,
                    KeysOnly = (range.Projection = Projection.KeysOnly),
                    CountOnly = (range.Projection = Projection.CountOnly)
                )
        )
    | Op.Put put ->
        Mvcc.RequestOp(RequestPut = Mvcc.RequestOp.Types.Put(Key = string put.Key, Value = string put.Value, PrevKv = put.PrevKv))
    | Op.Delete delete ->
        Mvcc.RequestOp(
            RequestDeleteRange =
                Mvcc.RequestOp.Types.DeleteRange(
                    Key = string delete.Range.Key,
                    RangeEnd = rangeEnd delete.Range,
                    PrevKv = delete.PrevKv,
                    Count = delete.Count
                )
        )

let txn (table: ByteString) (txn: Txn) =
    let message = TxnRequest(Table = table)
    message.Compare.AddRange(List.map compared txn.Compares)
    message.Success.AddRange(List.map operation txn.Success)
    message.Failure.AddRange(List.map operation txn.Failure)
    message

let range (table: ByteString) (range: RangeOp) (filter: RevisionFilter) =
    RangeRequest(
        Table = table,
        Key = string range.Range.Key,
        RangeEnd = rangeEnd range.Range,
        Limit = range.Limit,
        KeysOnly = (range.Projection = Projection.KeysOnly),
        CountOnly = (range.Projection = Projection.CountOnly),
        MinModRevision = filter.MinMod,
        MaxModRevision = filter.MaxMod,
        MinCreateRevision = filter.MinCreate,
        MaxCreateRevision = filter.MaxCreate
    )

let put (table: ByteString) (put: PutOp) = PutRequest(Table = table, Key = string put.Key, Value = string put.Value, PrevKv = put.PrevKv)

let delete (table: ByteString) (delete: DeleteOp) =
    DeleteRangeRequest(
        Table = table,
        Key = string delete.Range.Key,
        RangeEnd = rangeEnd delete.Range,
        PrevKv = delete.PrevKv,
        Count = delete.Count
    )

let private revision (header: ResponseHeader) = int64 header.Revision

/// The pages of one answer, which has one revision; None if they have several.
let ofPages (pages: RangeResponse list) : Reply option =
    match pages |> List.map (fun page -> revision page.Header) |> List.distinct with
    | [ revision ] ->
        let kvs = pages |> List.collect (fun page -> page.Kvs |> Seq.map pair |> List.ofSeq)

        Some
            { Revision = revision
              Response = Response.Range { Kvs = kvs; More = (List.last pages).More; Count = pages |> List.sumBy _.Count } }
    | _ -> None

let ofPut (reply: PutResponse) : Reply = { Revision = revision reply.Header; Response = Response.Put(previous reply.PrevKv) }

let ofDelete (reply: DeleteRangeResponse) : Reply =
    { Revision = revision reply.Header
      Response = Response.Delete(reply.Deleted, reply.PrevKvs |> Seq.map pair |> List.ofSeq) }

let private ofOperation (response: Mvcc.ResponseOp) =
    match response.ResponseCase with
    | Mvcc.ResponseOp.ResponseOneofCase.ResponseRange ->
        let found = response.ResponseRange
        Response.Range { Kvs = found.Kvs |> Seq.map pair |> List.ofSeq; More = found.More; Count = found.Count }
    | Mvcc.ResponseOp.ResponseOneofCase.ResponsePut -> Response.Put(previous response.ResponsePut.PrevKv)
    | Mvcc.ResponseOp.ResponseOneofCase.ResponseDeleteRange ->
        let deleted = response.ResponseDeleteRange
        Response.Delete(deleted.Deleted, deleted.PrevKvs |> Seq.map pair |> List.ofSeq)
    | other -> invalidOp $"an operation was answered with {other}"

let ofTxn (reply: TxnResponse) : Reply =
    { Revision = revision reply.Header
      Response = Response.Txn(reply.Succeeded, reply.Responses |> Seq.map ofOperation |> List.ofSeq) }

/// What one revision did, as a leader site tells it to its followers: a command without compares and reads.
let ofLogged (command: Mvcc.Command) : Command =
    let toOp (op: Mvcc.RequestOp) =
        match op.RequestCase with
        | Mvcc.RequestOp.RequestOneofCase.RequestPut ->
            Op.Put { Key = bytes op.RequestPut.Key; Value = bytes op.RequestPut.Value; PrevKv = false }
        | Mvcc.RequestOp.RequestOneofCase.RequestDeleteRange ->
            let range = KeyRange.ofRequest (bytes op.RequestDeleteRange.Key) (bytes op.RequestDeleteRange.RangeEnd)
            Op.Delete { Range = range; PrevKv = false; Count = false }
        | other -> invalidOp $"a leader site's changelog has no {other}"

    match command.Type with
    | Mvcc.Command.Types.CommandType.Dummy -> Command.Dummy
    | Mvcc.Command.Types.CommandType.Put -> Command.Put { Key = bytes command.Kv.Key; Value = bytes command.Kv.Value; PrevKv = false }
    | Mvcc.Command.Types.CommandType.Txn ->
        Command.Txn
            { Compares = []
              Success = command.Txn.Success |> Seq.map toOp |> List.ofSeq
              Failure = [] }
    | other -> invalidOp $"a leader site's changelog has no {other}"

/// An event of a watch, and its revision.
let ofEvent (event: WatchEvent) : Revision * Event =
    match event.Type with
    | WatchEvent.Types.Type.Put -> event.Kv.ModRevision, Event.Put(pair event.Kv)
    | _ -> event.Kv.ModRevision, Event.Delete(bytes event.Kv.Key)
