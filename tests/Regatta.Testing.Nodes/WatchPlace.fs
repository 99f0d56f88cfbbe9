namespace Regatta.Testing.Nodes

open Google.Protobuf
open Regatta.Protocol.V1

/// Up to where a watch of a whole table has come, so that another one can go on, at whichever node. Not thread-safe.
type WatchPlace() =
    static let zero = ByteString.CopyFrom 0uy
    let mutable next = 1L
    let mutable skip = 0
    let mutable chain = ByteString.Empty

    /// The revision from which on there is more, or may be.
    member _.Next = next

    /// What asks for all that comes behind it.
    member _.Create(table: string) =
        CreateWatch(
            WatchId = 1L,
            Table = ByteString.CopyFromUtf8 table,
            Key = zero,
            RangeEnd = zero,
            StartRevision = uint64 next,
            SkipEvents = uint64 skip,
            ChainHash = chain
        )

    member _.Note(message: WatchResponse) =
        let revision = int64 message.Header.Revision

        if message.Created then
            if chain.IsEmpty then chain <- message.ChainHash
        elif message.More then
            if revision <> next then chain <- message.ChainHash
            let more = message.Events |> Seq.filter (fun change -> change.Kv.ModRevision = revision) |> Seq.length
            skip <- (if revision = next then skip else 0) + more
            next <- revision
        elif revision >= next then
            chain <- message.ChainHash
            next <- revision + 1L
            skip <- 0

    /// What lies before is gone: it begins anew there.
    member _.BeginAt(oldest: int64) =
        next <- oldest
        skip <- 0
        chain <- ByteString.Empty
