namespace Regatta.Spec

/// Ranges and compares over the entries of a table at one moment.
module Reading =
    /// The pairs of a range, in key order.
    let select (range: KeyRange) (entries: Map<Key, Entry>) : KeyValue list =
        let pair (key, entry) : KeyValue = { Key = key; Entry = entry }

        if KeyRange.isSingle range then
            [ match Map.tryFind range.Key entries with
              | Some entry -> pair (range.Key, entry)
              | None -> () ]
        else
            entries |> Map.toSeq |> Seq.filter (fst >> KeyRange.contains range) |> Seq.map pair |> Seq.toList

    let private passes filter entry =
        let above low revision = low <= 0L || low <= revision
        let below high revision = high <= 0L || revision <= high

        above filter.MinMod entry.ModRevision
        && below filter.MaxMod entry.ModRevision
        && above filter.MinCreate entry.CreateRevision
        && below filter.MaxCreate entry.CreateRevision

    /// The whole answer to a range, however many pages it travels in. The filter comes first, then the limit: a key that is filtered
    /// out uses up no limit and is no "further key". CountOnly counts up to the limit and says with More that it stopped there.
    let range (op: RangeOp) (filter: RevisionFilter) entries : RangeAnswer =
        let matching = select op.Range entries |> List.filter (fun kv -> passes filter kv.Entry)
        let total = int64 matching.Length
        let count = if op.Limit > 0L then min op.Limit total else total

        let shown =
            match op.Projection with
            | Projection.Full -> List.truncate (int count) matching
            | Projection.KeysOnly ->
                List.truncate (int count) matching |> List.map (fun kv -> { kv with Entry = { kv.Entry with Value = Bytes.Empty } })
            | Projection.CountOnly -> []

        { Kvs = shown; More = total > count; Count = count }

    let private related relation order =
        match relation with
        | Relation.Equal -> order = 0
        | Relation.NotEqual -> order <> 0
        | Relation.Greater -> order > 0
        | Relation.Less -> order < 0

    let private matches (compared: Compare) (entry: Entry) =
        let against operand stored = related compared.Relation (compare stored operand)

        match compared.Operand with
        | Operand.Value value -> against value entry.Value
        | Operand.Version version -> against version entry.Version
        | Operand.CreateRevision revision -> against revision entry.CreateRevision
        | Operand.ModRevision revision -> against revision entry.ModRevision
        | Operand.Exists -> true

    /// A single key that is missing has no value to compare, so that even NotEqual is false; its version and revisions are 0, which
    /// makes "create if absent" a compare.
    let private matchesMissing (compared: Compare) =
        match compared.Operand with
        | Operand.Value _
        | Operand.Exists -> false
        | Operand.Version number
        | Operand.CreateRevision number
        | Operand.ModRevision number -> related compared.Relation (compare 0L number)

    /// Whether a compare holds. Of a range every key must match; a range without keys is false, whatever the operand.
    let holds (compared: Compare) entries =
        match select compared.Range entries with
        | [] -> KeyRange.isSingle compared.Range && matchesMissing compared
        | found -> List.forall (fun kv -> matches compared kv.Entry) found
