/// Put and DeleteRange, and what any write can meet.
module Regatta.Node.Tests.WriteCalls

open System.Threading.Tasks
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Raft
open Regatta.Node.Tests.CallRow

let private put (request: PutRequest) (node: RunningNode) = node.Clients.Kv.PutAsync(request).ResponseAsync :> Task
let private delete (request: DeleteRangeRequest) (node: RunningNode) = node.Clients.Kv.DeleteRangeAsync(request).ResponseAsync :> Task

/// What becomes of any write when its group does not take it.
let refusedWrites call (send: RunningNode -> Task) =
    [ row
          call
          (Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "the table's group has no leader; nothing was written"
          StatusCode.Unavailable
          "the group has no leader"
          send
      row
          call
          (Table(Refuses(GroupFailure.Stopped, "the group is stopping")))
          "the table's group is stopping; nothing was written"
          StatusCode.Unavailable
          "the group is stopping"
          send
      row
          call
          (Table(Refuses(GroupFailure.Overloaded, "the queue is full")))
          "more writes wait than the node holds; nothing was written"
          StatusCode.ResourceExhausted
          "the queue is full"
          send
      row
          call
          (Table(Refuses(GroupFailure.DiskFull, "the disk is nearly full")))
          "free disk space is below `disk.low-water-bytes`; nothing was written"
          StatusCode.ResourceExhausted
          "the disk is nearly full"
          send
      row
          call
          (Table(Refuses(GroupFailure.Unknown, "leadership was lost")))
          "the write was proposed and its fate is unknown"
          StatusCode.Unknown
          "leadership was lost: the write was accepted and may or may not have been applied, now or later; read to find out before you repeat it"
          send
      row
          call
          (Table Hangs)
          "the deadline passes after the write was proposed"
          StatusCode.DeadlineExceeded
          "the deadline passed: the write was accepted and may or may not have been applied, now or later; read to find out before you repeat it"
          send
      row
          call
          (Table(Refuses(GroupFailure.Cancelled, "cancelled")))
          "the deadline passes before the write was proposed"
          StatusCode.DeadlineExceeded
          "the deadline passed: nothing was written, trying again is safe"
          send
      damaged call send
      failed call send ]

let private puts =
    [ row
          "Put"
          Plain
          "the key has 1,024 bytes, the value 2 MiB"
          StatusCode.OK
          ""
          (put (PutRequest(Table = t, Key = Bytes.ofLength maxKey, Value = Bytes.ofLength maxValue)))
      row "Put" Plain "the value is empty" StatusCode.OK "" (put (PutRequest(Table = t, Key = a)))
      row "Put" Plain "no table is named (checked before the key)" invalid "table must be set" (put (PutRequest()))
      row "Put" Plain "no key is given" invalid "key must be set" (put (PutRequest(Table = t)))
      row
          "Put"
          Plain
          "there is no such table (checked before lengths)"
          StatusCode.NotFound
          "table not found"
          (put (PutRequest(Table = Bytes.text "none", Key = longKey)))
      row "Put" Plain "the key has 1,025 bytes" tooLong (keyTooLong "key") (put (PutRequest(Table = t, Key = longKey, Value = longValue)))
      row
          "Put"
          Plain
          "the value has 2 MiB and a byte"
          tooLong
          (valueTooLong "value")
          (put (PutRequest(Table = t, Key = a, Value = longValue)))
      row
          "Put"
          Plain
          "the request has more than 4 MiB"
          StatusCode.ResourceExhausted
          oversized
          (put (PutRequest(Table = t, Key = a, Value = Bytes.ofLength (4 * 1024 * 1024)))) ]
    @ refusedWrites "Put" (put (PutRequest(Table = t, Key = a)))

let private deletes =
    [ row "DeleteRange" Plain "the range holds nothing" StatusCode.OK "" (delete (DeleteRangeRequest(Table = t, Key = Bytes.text "none")))
      row "DeleteRange" Plain "no table is named (checked before the key)" invalid "table must be set" (delete (DeleteRangeRequest()))
      row "DeleteRange" Plain "no key is given" invalid "key must be set" (delete (DeleteRangeRequest(Table = t)))
      row
          "DeleteRange"
          Plain
          "there is no such table (checked before lengths)"
          StatusCode.NotFound
          "table not found"
          (delete (DeleteRangeRequest(Table = Bytes.text "none", Key = longKey)))
      row "DeleteRange" Plain "the key has 1,025 bytes" tooLong (keyTooLong "key") (delete (DeleteRangeRequest(Table = t, Key = longKey)))
      row
          "DeleteRange"
          Plain
          "`range_end` has 1,025 bytes"
          tooLong
          (keyTooLong "range_end")
          (delete (DeleteRangeRequest(Table = t, Key = a, RangeEnd = longKey)))
      row
          "DeleteRange"
          SmallLimits
          "`prev_kv`, and the range holds more than `limits.page-bytes`; nothing was deleted"
          tooLong
          "prev_kv would return more than 8192 bytes, the limit of a reply; nothing was written: name fewer keys or leave prev_kv out"
          (delete (DeleteRangeRequest(Table = Bytes.text "big", Key = Bytes.zero, RangeEnd = Bytes.zero, PrevKv = true)))
      row
          "DeleteRange"
          SmallLimits
          "the same without `prev_kv`"
          StatusCode.OK
          ""
          (delete (DeleteRangeRequest(Table = Bytes.text "big", Key = Bytes.text "k0", RangeEnd = Bytes.text "k1"))) ]
    @ refusedWrites "DeleteRange" (delete (DeleteRangeRequest(Table = t, Key = a)))

let rows: Row list = puts @ deletes
