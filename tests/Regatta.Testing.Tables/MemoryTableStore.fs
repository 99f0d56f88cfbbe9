namespace Regatta.Testing.Tables

open System
open System.Runtime.InteropServices
open Regatta.Core

/// All that a store holds, at one moment: kept, it is a snapshot; put back, it is a restore.
[<NoComparison>]
type MemoryState =
    internal
        { Rows: Row array
          Changes: Map<struct (int64 * int), byte array>
          Applied: AppliedState }

[<NoComparison>]
type private Write =
    | PutRow of Row
    | DeleteRow of byte array
    | AppendChange of struct (int64 * int) * byte array

[<Sealed>]
type private MemoryBatch(handles: Handles) =
    let writes = ResizeArray<Write>()
    let mutable disposed = false
    do handles.Take()

    let add write =
        if disposed then raise (ObjectDisposedException "batch")

        writes.Add write

    member _.Writes = writes

    interface ITableBatch with
        member _.Put(key, header, value) = add (PutRow { Key = key.ToArray(); Header = header; Value = value.ToArray() })
        member _.Delete key = add (DeleteRow(key.ToArray()))
        member _.AppendChange(revision, part, record) = add (AppendChange(struct (revision, part), record.ToArray()))

        member _.Dispose() =
            if not disposed then
                disposed <- true
                handles.Return()

/// A table's store in memory, for tests: simple enough to be right by inspection, and stricter than a real one about wrong use.
/// One writer, readers on any thread, as the seam has it.
[<Sealed>]
type MemoryTableStore(incarnation: Incarnation) =
    let handles = Handles()

    [<VolatileField>]
    let mutable state =
        { Rows = [||]
          Changes = Map.empty
          Applied = AppliedState(0L, 0L, 0L, incarnation, ChainHash()) }

    let latest = lazy (new MemoryView((fun () -> state.Rows), (fun () -> state.Applied.Revision), handles, false) :> ITableView)

    let write (rows: ResizeArray<Row>) changes write =
        match write with
        | AppendChange(position, record) ->
            if Map.containsKey position changes then invalidOp $"revision and part {position} are in the changelog already"

            Map.add position record changes
        | PutRow row ->
            let position = Rows.lowerBound rows (ReadOnlySpan row.Key)

            if position < rows.Count && rows[position].Key.AsSpan().SequenceEqual(ReadOnlySpan row.Key) then
                rows[position] <- row
            else
                rows.Insert(position, row)

            changes
        | DeleteRow key ->
            let position = Rows.lowerBound rows (ReadOnlySpan key)

            if position < rows.Count && rows[position].Key.AsSpan().SequenceEqual(ReadOnlySpan key) then rows.RemoveAt position

            changes

    /// All of the store as it stands; setting it is what a crash or a restore does.
    member _.State
        with get () = state
        and set value = state <- value

    /// Puts a state of another site in the place of this one, as of an entry of the own log. It comes without a changelog.
    member _.Install(other: MemoryState, index, term) =
        let applied = other.Applied

        state <-
            { other with
                Changes = Map.empty
                Applied = AppliedState(index, term, applied.Revision, applied.Incarnation, applied.Chain) }

    /// Views, cursors and batches that are not disposed yet.
    member _.OpenHandles = handles.Open

    /// The changelog from a revision on, by revision and part.
    member _.Changes from =
        state.Changes
        |> Map.toSeq
        |> Seq.filter (fun (struct (revision, _), _) -> revision >= from)
        |> Seq.map (fun (struct (revision, part), record) -> struct (revision, part, record))
        |> Seq.toArray

    interface ITableStore with
        member _.Applied = state.Applied
        member _.Latest = latest.Value
        member _.NewBatch() = new MemoryBatch(handles)

        member _.Write(batch, next) =
            match batch with
            | :? MemoryBatch as batch ->
                if next.Index <= state.Applied.Index then invalidOp $"index {next.Index} does not come after {state.Applied.Index}"

                let rows = ResizeArray state.Rows
                let changes = batch.Writes |> Seq.fold (write rows) state.Changes
                state <- { Rows = rows.ToArray(); Changes = changes; Applied = next }
            | other -> invalidArg (nameof batch) $"a {other.GetType().Name} is not a batch of this store"

    interface ITableReader with
        member _.Revision = state.Applied.Revision

        member _.Get(key, withValue) =
            let read = state

            match Rows.tryFind read.Rows key with
            | ValueSome row ->
                let value = if withValue then ReadOnlyMemory(Array.copy row.Value) else ReadOnlyMemory.Empty
                PointRead(read.Applied.Revision, true, row.Header, value)
            | ValueNone -> PointRead(read.Applied.Revision, false, RecordHeader(), ReadOnlyMemory.Empty)

        member _.OpenView() =
            let seen = state
            new MemoryView((fun () -> seen.Rows), (fun () -> seen.Applied.Revision), handles, true)

        member _.ReadChain revision =
            let seen = state

            if revision < 0L || revision > seen.Applied.Revision then
                raise (ArgumentOutOfRangeException(nameof revision, revision, $"the store is at {seen.Applied.Revision}"))

            let chain =
                if revision = 0L then ChainHash()
                elif revision = seen.Applied.Revision then seen.Applied.Chain
                else ChangeCodec.ReadChain(ReadOnlyMemory seen.Changes[struct (revision, 0)])

            ChainRead(true, chain, min 1L seen.Applied.Revision)

        member _.OpenChanges(from, withParts) =
            let next = ref (struct (from, 0))

            { new IChangeReader with
                member _.BytesLeft =
                    state.Changes |> Map.toSeq |> Seq.sumBy (fun (at, record) -> if at >= next.Value then int64 record.Length else 0L)

                member _.Read maxBytes =
                    let records =
                        state.Changes
                        |> Map.toSeq
                        |> Seq.filter (fun (struct (_, part) as at, _) -> at >= next.Value && (part = 0 || withParts))
                        |> Seq.map (fun (struct (revision, part), record) -> StoredChange(revision, part, ReadOnlyMemory record))
                        |> Seq.scan (fun (bytes, _) record -> bytes + record.Record.Length, ValueSome record) (0, ValueNone)
                        |> Seq.choose (fun (bytes, record) ->
                            record |> ValueOption.map (fun record -> bytes, record) |> ValueOption.toOption)
                        |> Seq.indexed
                        |> Seq.takeWhile (fun (index, (bytes, _)) -> index = 0 || bytes <= maxBytes)
                        |> Seq.map (fun (_, (_, record)) -> record)
                        |> Seq.toArray

                    if Array.isEmpty records then
                        ChangelogRead.CaughtUp() :> ChangelogRead
                    else
                        let last = Array.last records
                        next.Value <- struct (last.Revision, last.Part + 1)
                        ChangelogRead.Records(ImmutableCollectionsMarshal.AsImmutableArray records) }
