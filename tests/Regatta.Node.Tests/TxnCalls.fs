/// Txn, with the operations and compares that it can hold.
module Regatta.Node.Tests.TxnCalls

open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Raft
open Regatta.Node.Tests.CallRow
open Regatta.Node.Tests.WriteCalls

let private txn (request: TxnRequest) (node: RunningNode) = node.Clients.Kv.TxnAsync(request).ResponseAsync :> Task

// A transaction of one operation in its failure branch, which is checked though it will not be taken.
let private opPut key value = RequestOp(RequestPut = RequestOp.Types.Put(Key = key, Value = value))
let private opDelete key rangeEnd = RequestOp(RequestDeleteRange = RequestOp.Types.DeleteRange(Key = key, RangeEnd = rangeEnd))
let private opRange key rangeEnd = RequestOp(RequestRange = RequestOp.Types.Range(Key = key, RangeEnd = rangeEnd))

let private operation (op: RequestOp) =
    let request = TxnRequest(Table = t)
    request.Success.Add(opPut a a)
    request.Failure.Add op
    txn request

let private compare (condition: Compare) =
    let request = TxnRequest(Table = t)
    request.Compare.Add condition
    txn request

let private many (count: int) =
    let request = TxnRequest(Table = t)

    for _ in 1..count do
        request.Success.Add(opRange a ByteString.Empty)

    txn request

let rows: Row list =
    [ row "Txn" Plain "no compare and no operation" StatusCode.OK "" (txn (TxnRequest(Table = t)))
      row "Txn" Plain "10,000 operations" StatusCode.OK "" (many 10000)
      row "Txn" Plain "no table is named" invalid "table must be set" (txn (TxnRequest()))
      row "Txn" Plain "there is no such table" StatusCode.NotFound "table not found" (txn (TxnRequest(Table = Bytes.text "none")))
      row
          "Txn"
          Plain
          "`consistency` is no value of the enum"
          invalid
          "consistency must be LOCAL (0), SITE (1) or GLOBAL (2)"
          (txn (TxnRequest(Table = t, Consistency = enum<Consistency> 3)))
      row
          "Txn"
          Plain
          "`min_revision` is above 2^63-1"
          invalid
          "min_revision is greater than any revision can be"
          (txn (TxnRequest(Table = t, MinRevision = System.UInt64.MaxValue)))
      row
          "Txn"
          Plain
          "10,001 operations in one branch"
          invalid
          "a transaction has 10001 compares or operations in one list, 10000 are allowed"
          (many 10001)
      row
          "Txn"
          Plain
          "an operation is empty"
          invalid
          "failure[0] holds no operation; it must hold request_range, request_put or request_delete_range"
          (operation (RequestOp()))
      row "Txn" Plain "a put has no key" invalid "key must be set: failure[0]" (operation (opPut ByteString.Empty a))
      row "Txn" Plain "a put's key has 1,025 bytes" tooLong (keyTooLong "failure[0].key") (operation (opPut longKey a))
      row "Txn" Plain "a put's value has 2 MiB and a byte" tooLong (valueTooLong "failure[0].value") (operation (opPut a longValue))
      row "Txn" Plain "a delete has no key" invalid "key must be set: failure[0]" (operation (opDelete ByteString.Empty a))
      row "Txn" Plain "a delete's key has 1,025 bytes" tooLong (keyTooLong "failure[0].key") (operation (opDelete longKey a))
      row "Txn" Plain "a delete's `range_end` has 1,025 bytes" tooLong (keyTooLong "failure[0].range_end") (operation (opDelete a longKey))
      row "Txn" Plain "a range has no key" invalid "key must be set: failure[0]" (operation (opRange ByteString.Empty a))
      row "Txn" Plain "a range's key has 1,025 bytes" tooLong (keyTooLong "failure[0].key") (operation (opRange longKey a))
      row "Txn" Plain "a range's `range_end` has 1,025 bytes" tooLong (keyTooLong "failure[0].range_end") (operation (opRange a longKey))
      row
          "Txn"
          Plain
          "a range's `limit` is negative"
          invalid
          "limit must be a positive number: failure[0]"
          (operation (RequestOp(RequestRange = RequestOp.Types.Range(Key = a, Limit = -1L))))
      row
          "Txn"
          Plain
          "a range has `keys_only` and `count_only`"
          invalid
          "keys_only and count_only must not be set at the same time: failure[0]"
          (operation (RequestOp(RequestRange = RequestOp.Types.Range(Key = a, KeysOnly = true, CountOnly = true))))
      row "Txn" Plain "a compare has no key" invalid "key must be set: compare[0]" (compare (Compare()))
      row "Txn" Plain "a compare's key has 1,025 bytes" tooLong (keyTooLong "compare[0].key") (compare (Compare(Key = longKey)))
      row
          "Txn"
          Plain
          "a compare's `range_end` has 1,025 bytes"
          tooLong
          (keyTooLong "compare[0].range_end")
          (compare (Compare(Key = a, RangeEnd = longKey)))
      row
          "Txn"
          Plain
          "a compare's value has 2 MiB and a byte"
          tooLong
          (valueTooLong "compare[0].value")
          (compare (Compare(Key = a, Value = longValue)))
      row
          "Txn"
          Plain
          "a compare's `result` is no value of the enum"
          invalid
          "compare[0].result has the unknown value 7; it must be EQUAL, GREATER, LESS or NOT_EQUAL"
          (compare (Compare(Key = a, Result = enum<Compare.Types.CompareResult> 7)))
      row
          "Txn"
          Plain
          "a compare's `target` is no value of the enum"
          invalid
          "compare[0].target has the unknown value 7; it must be VALUE, VERSION, CREATE or MOD"
          (compare (Compare(Key = a, Target = enum<Compare.Types.CompareTarget> 7)))
      row
          "Txn"
          Plain
          "a compare's `target` is not what its operand is"
          invalid
          "compare[0]: target and target_union must name the same property"
          (compare (Compare(Key = a, Target = Compare.Types.CompareTarget.Mod, Version = 1L)))
      row
          "Txn"
          SmallLimits
          "`prev_kv`, and what it names holds more than `limits.page-bytes`; nothing was written"
          tooLong
          "prev_kv would return more than 8192 bytes, the limit of a reply; nothing was written: name fewer keys or leave prev_kv out"
          (fun node ->
              let request = TxnRequest(Table = Bytes.text "big")
              let op = RequestOp.Types.DeleteRange(Key = Bytes.zero, RangeEnd = Bytes.zero, PrevKv = true)
              request.Success.Add(RequestOp(RequestDeleteRange = op))
              txn request node)
      row
          "Txn"
          Plain
          "the request has more than 4 MiB"
          StatusCode.ResourceExhausted
          oversized
          (operation (opPut a (Bytes.ofLength (4 * 1024 * 1024))))
      row
          "Txn"
          (Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "read-only, and the table's group has no leader"
          StatusCode.Unavailable
          "the group has no leader"
          (txn (TxnRequest(Table = t))) ]
    @ refusedWrites "Txn" (operation (opPut a a))
