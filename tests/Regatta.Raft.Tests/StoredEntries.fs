/// Entries that go through a log store, and what is found of them.
module Regatta.Raft.Tests.StoredEntries

open System
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures

let payload (number: int) (size: int) =
    let bytes = Array.zeroCreate<byte> size
    Random(number).NextBytes bytes
    bytes

let scan (store: RaftLogStore) group =
    let found = ResizeArray()

    store.Scan(
        group,
        1L,
        Int64.MaxValue - 1L,
        (fun index record ->
            found.Add(index, LogRecord.Term(ReadOnlySpan record), LogRecord.Payload(record).ToArray())
            true)
    )

    List.ofSeq found

let withStore directory body =
    task {
        use failStop = new FailStop()
        use store = openStore directory failStop None
        return! body store
    }

/// Writes entries 1..count of a group, each in a round of its own, with a hard state in front.
let fill (store: RaftLogStore) group count size =
    task {
        do! soon (enqueue store [ LogOp.Put(group, HardState(3L, Nullable(), 0L, 0L)) ])

        for index in 1L .. int64 count do
            do! soon (enqueue store [ LogOp.Put(group, index, sealedRecord group index 3L (payload (int index) size)) ])
    }
