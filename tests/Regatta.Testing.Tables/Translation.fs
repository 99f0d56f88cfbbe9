/// The specification's commands and answers in the implementation's types, and back.
module Regatta.Testing.Tables.Translation

open System
open System.Collections.Immutable
open Regatta
open Regatta.Spec

let incarnation (incarnation: Incarnation) = Core.Incarnation(incarnation.History, incarnation.Number)

let range (range: KeyRange) =
    match range.End with
    | None -> Core.KeyRange.Single range.Key.Memory
    | Some last -> Core.KeyRange.FromWire(range.Key.Memory, last.Memory)

let private keysOnly (op: RangeOp) = op.Projection = Projection.KeysOnly
let private countOnly (op: RangeOp) = op.Projection = Projection.CountOnly

let private op op : Core.TxnOp =
    match op with
    | Op.Range op -> Core.TxnOp.Range(range op.Range, op.Limit, keysOnly op, countOnly op)
    | Op.Put op -> Core.TxnOp.Put(op.Key.Memory, op.Value.Memory, op.PrevKv)
    | Op.Delete op -> Core.TxnOp.DeleteRange(range op.Range, op.PrevKv, op.Count)

let private operator relation =
    match relation with
    | Relation.Equal -> Core.CompareOperator.Equal
    | Relation.NotEqual -> Core.CompareOperator.NotEqual
    | Relation.Greater -> Core.CompareOperator.Greater
    | Relation.Less -> Core.CompareOperator.Less

let private compare (compare: Compare) =
    let on target (value: Value) number = Core.Compare(range compare.Range, operator compare.Relation, target, value.Memory, number)

    match compare.Operand with
    | Operand.Exists -> on Core.CompareTarget.Exists Bytes.Empty 0L
    | Operand.Value value -> on Core.CompareTarget.Value value 0L
    | Operand.Version number -> on Core.CompareTarget.Version Bytes.Empty number
    | Operand.CreateRevision number -> on Core.CompareTarget.CreateRevision Bytes.Empty number
    | Operand.ModRevision number -> on Core.CompareTarget.ModRevision Bytes.Empty number

let private list item items = ImmutableArray.CreateRange(List.map item items)

let txn (txn: Txn) = Core.TxnCommand(list compare txn.Compares, list op txn.Success, list op txn.Failure)

let command command : Core.TableCommand =
    match command with
    | Command.Put op -> Core.PutCommand(op.Key.Memory, op.Value.Memory, op.PrevKv)
    | Command.Delete op -> Core.DeleteRangeCommand(range op.Range, op.PrevKv, op.Count)
    | Command.Txn op -> txn op
    | Command.Dummy -> Core.DummyCommand()

let rangeQuery (op: RangeOp) filter =
    Core.RangeQuery(range op.Range, op.Limit, keysOnly op, countOnly op, filter.MinMod, filter.MaxMod, filter.MinCreate, filter.MaxCreate)

let bytes (memory: ReadOnlyMemory<byte>) = Bytes.OfSpan memory.Span

let entry (header: Core.RecordHeader) value =
    { Value = bytes value
      CreateRevision = header.CreateRevision
      ModRevision = header.ModRevision
      Version = header.Version }

let private pair (record: Core.KeyRecord) : KeyValue = { Key = bytes record.Key; Entry = entry record.Header record.Value }
let private pairs records = records |> Seq.map pair |> List.ofSeq
let private previous (record: Core.KeyRecord | null) = record |> Option.ofObj |> Option.map pair

let answer (page: Core.RangePage) = { Kvs = pairs page.Records; More = page.More; Count = page.Count }

let private opResponse (result: Core.TxnOpResult) =
    match result with
    | :? Core.TxnOpResult.Range as r -> Response.Range { Kvs = pairs r.Records; More = r.More; Count = r.Count }
    | :? Core.TxnOpResult.Put as r -> Response.Put(previous r.Previous)
    | :? Core.TxnOpResult.DeleteRange as r -> Response.Delete(r.Deleted, pairs r.Previous)
    | other -> invalidOp $"an operation was answered with {other}"

let reply (result: Core.CommandResult) : Reply =
    let response =
        match result with
        | :? Core.PutResult as r -> Response.Put(previous r.Previous)
        | :? Core.DeleteRangeResult as r -> Response.Delete(r.Deleted, pairs r.Previous)
        | :? Core.TxnResult as r -> Response.Txn(r.Succeeded, r.Responses |> Seq.map opResponse |> List.ofSeq)
        | :? Core.DummyResult -> Response.Dummy
        | other -> invalidOp $"a command was answered with {other}"

    { Revision = result.Revision; Response = response }

/// A range as it comes back. One that reaches from a key to the end is written as requests write it.
let rangeBack (range: Core.KeyRange) =
    match range.Kind with
    | Core.KeyRangeKind.Single -> KeyRange.single (bytes range.Start)
    | Core.KeyRangeKind.From -> KeyRange.from (bytes range.Start)
    | _ -> KeyRange.between (bytes range.Start) (bytes range.End)
