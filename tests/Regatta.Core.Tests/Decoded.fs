/// Commands read back from bytes, in the specification's types, which compare by content.
module Regatta.Core.Tests.Decoded

open Expecto
open Regatta
open Regatta.Spec
open Regatta.Testing.Tables

let private projection keysOnly countOnly =
    match keysOnly, countOnly with
    | false, false -> Projection.Full
    | true, false -> Projection.KeysOnly
    | false, true -> Projection.CountOnly
    | true, true -> failtest "both keys only and count only"

let private op (op: Core.TxnOp) =
    match op with
    | :? Core.TxnOp.Put as op ->
        Op.Put
            { Key = Translation.bytes op.Key
              Value = Translation.bytes op.Value
              PrevKv = op.WantPrevious }
    | :? Core.TxnOp.DeleteRange as op -> Op.Delete { Range = Translation.rangeBack op.Keys; PrevKv = op.WantPrevious; Count = op.WantCount }
    | :? Core.TxnOp.Range as op ->
        Op.Range
            { Range = Translation.rangeBack op.Keys
              Limit = op.Limit
              Projection = projection op.KeysOnly op.CountOnly }
    | other -> failtestf "an operation of type %s" (other.GetType().Name)

let private compare (compare: Core.Compare) =
    let relation =
        match compare.Operator with
        | Core.CompareOperator.Equal -> Relation.Equal
        | Core.CompareOperator.NotEqual -> Relation.NotEqual
        | Core.CompareOperator.Greater -> Relation.Greater
        | Core.CompareOperator.Less -> Relation.Less
        | other -> failtestf "operator %A" other

    let operand =
        match compare.Target with
        | Core.CompareTarget.Exists -> Operand.Exists
        | Core.CompareTarget.Value -> Operand.Value(Translation.bytes compare.Value)
        | Core.CompareTarget.Version -> Operand.Version compare.Number
        | Core.CompareTarget.CreateRevision -> Operand.CreateRevision compare.Number
        | Core.CompareTarget.ModRevision -> Operand.ModRevision compare.Number
        | other -> failtestf "target %A" other

    { Range = Translation.rangeBack compare.Keys; Relation = relation; Operand = operand }

let private list item items = items |> Seq.map item |> List.ofSeq

let command (command: Core.TableCommand) =
    match command with
    | :? Core.PutCommand as put ->
        Command.Put
            { Key = Translation.bytes put.Key
              Value = Translation.bytes put.Value
              PrevKv = put.WantPrevious }
    | :? Core.DeleteRangeCommand as delete ->
        Command.Delete
            { Range = Translation.rangeBack delete.Range
              PrevKv = delete.WantPrevious
              Count = delete.WantCount }
    | :? Core.TxnCommand as txn ->
        Command.Txn
            { Compares = list compare txn.Compares
              Success = list op txn.Success
              Failure = list op txn.Failure }
    | :? Core.DummyCommand -> Command.Dummy
    | other -> failtestf "a command of type %s" (other.GetType().Name)

/// All commands of a payload.
let entry (payload: System.ReadOnlyMemory<byte>) =
    let commands = ResizeArray()
    let mutable reader = Core.EntryReader payload
    let mutable command = Unchecked.defaultof<Core.TableCommand | null>

    while reader.TryRead &command do
        commands.Add(Expect.wantSome (Option.ofObj command) "a command that was read")

    List.ofSeq commands
