/// Short ways to say commands and queries, for tests that are read beside the documents.
module Regatta.Spec.Tests.Build

open Expecto
open Regatta.Spec

let b (text: string) = Bytes.OfText text
let raw (bytes: int list) = bytes |> List.map byte |> Array.ofList |> Bytes.OfArray
let empty = Table.create Generate.incarnation

let putOp key value : PutOp = { Key = b key; Value = b value; PrevKv = false }
let put key value = Command.Put(putOp key value)
let putPrev key value = Command.Put { putOp key value with PrevKv = true }
let deleteOp range : DeleteOp = { Range = range; PrevKv = false; Count = false }
let delete key = Command.Delete(deleteOp (KeyRange.single (b key)))
let txn compares success failure = Command.Txn { Compares = compares; Success = success; Failure = failure }
let opPut key value = Op.Put(putOp key value)
let opDelete key = Op.Delete(deleteOp (KeyRange.single (b key)))
let rangeOp range : RangeOp = { Range = range; Limit = 0L; Projection = Projection.Full }
let opGet key = Op.Range(rangeOp (KeyRange.single (b key)))
let compareKey key relation operand : Compare = { Range = KeyRange.single (b key); Relation = relation; Operand = operand }
let compareRange range relation operand : Compare = { Range = range; Relation = relation; Operand = operand }

let run commands state = List.fold (fun state command -> Table.apply state command |> fst) state commands
let after commands = run commands empty
let reply state command = Table.apply state command |> snd
let response state command = (reply state command).Response
let get state key = Map.tryFind (b key) state.Entries

let entry value create modified version : Entry = { Value = b value; CreateRevision = create; ModRevision = modified; Version = version }

let kv key entry : KeyValue = { Key = b key; Entry = entry }

let ask state query =
    match (Table.query state query).Response with
    | Response.Range answer -> answer
    | other -> failtestf "a range was answered with %A" other

let range state op = ask state (Query.Range(op, RevisionFilter.None))
let select state range' = range state (rangeOp range')
let keysOf (answer: RangeAnswer) = answer.Kvs |> List.map _.Key
let texts keys = List.map b keys
