/// Calls and answers as people write them: put reg/07 = #34.22.
module Regatta.Chaos.Show

open Regatta.Spec

let text (bytes: Bytes) =
    let text = System.Text.Encoding.UTF8.GetString bytes.Memory.Span
    let unpadded = text.Replace(String.replicate 40 "x", "x..x")
    if unpadded.Length > 60 then unpadded[..24] + "..." + unpadded[unpadded.Length - 24 ..] else unpadded

let range (range: KeyRange) =
    match range.End with
    | None -> text range.Key
    | Some last when last = Bytes.Zero -> $"{text range.Key}.."
    | Some last -> $"{text range.Key}..{text last}"

let private wishes (words: (bool * string) list) = words |> List.filter fst |> List.map (snd >> (+) ", ") |> String.concat ""

let private look (op: RangeOp) (filter: RevisionFilter) =
    range op.Range
    + wishes
        [ op.Limit > 0L, $"at most {op.Limit}"
          op.Projection = Projection.KeysOnly, "only keys"
          op.Projection = Projection.CountOnly, "only how many"
          filter.MinMod > 0L, $"modified since revision {filter.MinMod}" ]

let private put (put: PutOp) = $"put {text put.Key} = {text put.Value}" + wishes [ put.PrevKv, "previous" ]
let private delete (delete: DeleteOp) = $"delete {range delete.Range}" + wishes [ delete.PrevKv, "previous"; delete.Count, "count" ]

let private op op =
    match op with
    | Op.Put op -> put op
    | Op.Delete op -> delete op
    | Op.Range op -> $"get {look op RevisionFilter.None}"

let private compared (compare: Compare) =
    let relation =
        match compare.Relation with
        | Relation.Equal -> "="
        | Relation.NotEqual -> "<>"
        | Relation.Greater -> ">"
        | Relation.Less -> "<"

    match compare.Operand with
    | Operand.Value value -> $"{range compare.Range} {relation} {text value}"
    | Operand.Version version -> $"version of {range compare.Range} {relation} {version}"
    | Operand.CreateRevision revision -> $"create revision of {range compare.Range} {relation} {revision}"
    | Operand.ModRevision revision -> $"mod revision of {range compare.Range} {relation} {revision}"
    | Operand.Exists -> $"{range compare.Range} exists"

let private txn (txn: Txn) =
    let ops ops = ops |> List.map op |> String.concat "; "
    let compares = txn.Compares |> List.map compared |> String.concat " and "
    let condition = if compares = "" then "" else $"if {compares}: "
    let otherwise = if txn.Failure.IsEmpty then "" else $" else: {ops txn.Failure}"
    $"{condition}{ops txn.Success}{otherwise}"

let private query query =
    match query with
    | Query.Range(op, filter) -> look op filter
    | Query.Txn read -> txn read

let request request =
    match request with
    | Request.Write(Command.Put op) -> put op
    | Request.Write(Command.Delete op) -> delete op
    | Request.Write(Command.Txn change) -> txn change
    | Request.Write Command.Dummy -> "nothing"
    | Request.Read asked -> $"read {query asked}"
    | Request.LocalRead asked -> $"read locally {query asked}"

let private pair (kv: KeyValue) =
    let entry = kv.Entry
    $"{text kv.Key} = {text entry.Value} (created {entry.CreateRevision}, modified {entry.ModRevision}, version {entry.Version})"

let private pairs (kvs: KeyValue list) = if kvs.IsEmpty then "nothing" else kvs |> List.map pair |> String.concat "; "

let rec private answer response =
    match response with
    | Response.Range { Kvs = []; Count = count } when count > 0L -> $"{count} keys"
    | Response.Range found -> pairs found.Kvs + (if found.More then "; and more" else "")
    | Response.Put None
    | Response.Dummy -> "done"
    | Response.Put(Some previous) -> $"done, before: {pair previous}"
    | Response.Delete(count, []) -> if count > 0L then $"{count} deleted" else "done"
    | Response.Delete(_, previous) -> $"deleted {pairs previous}"
    | Response.Txn(succeeded, responses) ->
        let branch = if succeeded then "" else "else: "
        branch + (responses |> List.map answer |> String.concat "; ")

/// An event of a watch; none.
let event (event: (Revision * Event) option) =
    match event with
    | None -> "nothing"
    | Some(_, Event.Put kv) -> $"put {pair kv}"
    | Some(revision, Event.Delete key) -> $"delete {text key} at revision {revision}"

let reply (reply: Reply) = $"at revision {reply.Revision}: {answer reply.Response}"
