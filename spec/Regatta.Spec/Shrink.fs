namespace Regatta.Spec

/// Smaller versions of what Generate makes, smallest first. Each step is simpler by a measure that cannot fall for ever: fewer elements, a
/// key further up in Generate.keys, a flag unset.
module Shrink =
    /// Without a half, a quarter, ... without one element; then with one element shrunk.
    let list (element: 'a -> 'a seq) (items: 'a list) =
        seq {
            let mutable chunk = items.Length

            while chunk > 0 do
                for start in 0..chunk .. items.Length - 1 do
                    yield List.removeManyAt start (min chunk (items.Length - start)) items

                chunk <- chunk / 2

            for index, item in List.indexed items do
                for smaller in element item do
                    yield List.updateAt index smaller items
        }

    let key key =
        match List.tryFindIndex ((=) key) Generate.keys with
        | Some 0 -> Seq.empty
        | Some index -> Seq.distinct [ Generate.keys[0]; Generate.keys[index / 2]; Generate.keys[index - 1] ]
        | None -> Seq.singleton Generate.keys[0]

    let value (value: Value) = if value.IsEmpty then Seq.empty else Seq.singleton Bytes.Empty
    let private unset flag rebuilt = if flag then Seq.singleton rebuilt else Seq.empty

    let range (range: KeyRange) =
        seq {
            yield! unset (not (KeyRange.isSingle range)) (KeyRange.single range.Key)
            for smaller in key range.Key -> { range with Key = smaller }
        }

    let rangeOp (op: RangeOp) =
        seq {
            yield! unset (op.Limit <> 0L) { op with Limit = 0L }
            yield! unset (op.Projection <> Projection.Full) { op with Projection = Projection.Full }
            for smaller in range op.Range -> { op with Range = smaller }
        }

    let putOp (op: PutOp) =
        seq {
            yield! unset op.PrevKv { op with PrevKv = false }
            for smaller in value op.Value -> { op with Value = smaller }
            for smaller in key op.Key -> { op with PutOp.Key = smaller }
        }

    let deleteOp (op: DeleteOp) =
        seq {
            yield! unset op.PrevKv { op with PrevKv = false }
            yield! unset op.Count { op with Count = false }
            for smaller in range op.Range -> { op with DeleteOp.Range = smaller }
        }

    let op op =
        match op with
        | Op.Range op -> rangeOp op |> Seq.map Op.Range
        | Op.Put op -> putOp op |> Seq.map Op.Put
        | Op.Delete op -> deleteOp op |> Seq.map Op.Delete

    let compare (compared: Compare) = range compared.Range |> Seq.map (fun smaller -> { compared with Range = smaller })

    let txn (txn: Txn) =
        seq {
            for branch in [ txn.Success; txn.Failure ] do
                yield! unset (not txn.Compares.IsEmpty) { Compares = []; Success = branch; Failure = [] }

            for smaller in list compare txn.Compares -> { txn with Compares = smaller }
            for smaller in list op txn.Success -> { txn with Success = smaller }
            for smaller in list op txn.Failure -> { txn with Failure = smaller }
        }

    /// Mutating commands stay mutating.
    let command command =
        match command with
        | Command.Dummy -> Seq.empty
        | Command.Put op -> putOp op |> Seq.map Command.Put
        | Command.Delete op -> deleteOp op |> Seq.map Command.Delete
        | Command.Txn smaller -> txn smaller |> Seq.map Command.Txn |> Seq.filter Command.mutates

    let query query =
        match query with
        | Query.Txn readOnly -> txn readOnly |> Seq.map Query.Txn
        | Query.Range(op, filter) ->
            seq {
                yield! unset (filter <> RevisionFilter.None) (Query.Range(op, RevisionFilter.None))
                for smaller in rangeOp op -> Query.Range(smaller, filter)
            }

    let private alone op =
        match op with
        | Op.Put op -> Some(Command.Put op)
        | Op.Delete op -> Some(Command.Delete op)
        | Op.Range _ -> None

    /// Also with a transaction taken apart into the commands of either branch.
    let script commands =
        seq {
            yield! list command commands

            for index, command in List.indexed commands do
                match command with
                | Command.Txn txn ->
                    for branch in [ txn.Success; txn.Failure ] do
                        yield List.insertManyAt index (List.choose alone branch) (List.removeAt index commands)
                | _ -> ()
        }
