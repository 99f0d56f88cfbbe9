namespace Regatta.Spec

/// A key, or a range of keys, as requests name them: no `End` = this key alone; `End` = the one byte 0 = every key >= `Key`;
/// else [Key, End), which is empty when End <= Key. All keys of a table: Key = End = the one byte 0 (no stored key is empty).
type KeyRange = { Key: Bytes; End: Bytes option }

module KeyRange =
    /// From the two fields of a request, where an empty range_end is an absent one.
    let ofRequest key (rangeEnd: Bytes) = { Key = key; End = if rangeEnd.IsEmpty then None else Some rangeEnd }

    let single key = { Key = key; End = None }
    let from key = { Key = key; End = Some Bytes.Zero }
    let between key rangeEnd = { Key = key; End = Some rangeEnd }
    let all = from Bytes.Zero

    /// The range of the keys that begin with `prefix`: up to the prefix with its last byte below 0xff raised by one.
    let prefix (prefix: Bytes) =
        let bytes = prefix.ToArray()

        match Array.tryFindIndexBack (fun b -> b < 0xffuy) bytes with
        | Some last -> between prefix (Bytes.OfArray [| yield! bytes[.. last - 1]; bytes[last] + 1uy |])
        | None -> from prefix

    let isSingle range = Option.isNone range.End

    let contains range key =
        match range.End with
        | None -> key = range.Key
        | Some last when last = Bytes.Zero -> range.Key <= key
        | Some last -> range.Key <= key && key < last
