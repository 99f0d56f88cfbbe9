namespace Regatta.Testing.Tables

open System
open System.Threading
open Regatta.Core

/// A stored record. Nobody changes the arrays once they are here.
[<NoComparison>]
type internal Row = { Key: byte array; Header: RecordHeader; Value: byte array }

/// Counts what has been handed out and not given back: a view or cursor that is not disposed pins resources in a real store.
type internal Handles() =
    let mutable count = 0
    member _.Open = Volatile.Read &count
    member _.Take() = Interlocked.Increment &count |> ignore
    member _.Return() = Interlocked.Decrement &count |> ignore

/// Rows in key order, as an array that is replaced, never changed.
module internal Rows =
    /// Position of the first row that is not below the key.
    let lowerBound (rows: Collections.Generic.IReadOnlyList<Row>) (key: ReadOnlySpan<byte>) =
        let mutable low = 0
        let mutable high = rows.Count

        while low < high do
            let middle = (low + high) / 2

            if ReadOnlySpan<byte>(rows[middle].Key).SequenceCompareTo key < 0 then low <- middle + 1 else high <- middle

        low

    let tryFind (rows: Row array) (key: ReadOnlySpan<byte>) =
        let position = lowerBound rows key

        if position < rows.Length && key.SequenceEqual(ReadOnlySpan rows[position].Key) then
            ValueSome rows[position]
        else
            ValueNone

/// A cursor that is stricter than it must be: what its spans showed is overwritten by the next move, and a wrong order of calls throws.
[<Sealed>]
type internal MemoryCursor(rows: Row array, range: KeyRange, handles: Handles) =
    let mutable position = Rows.lowerBound rows range.Start.Span - 1
    let mutable onRecord = false
    let mutable key: byte array = [||]
    let mutable value: byte array = [||]
    let mutable header = RecordHeader()
    let mutable ended = false
    let mutable disposed = false
    do handles.Take()

    let leave () =
        Array.fill key 0 key.Length 0xeeuy
        Array.fill value 0 value.Length 0xeeuy
        onRecord <- false

    let require () = if not onRecord then invalidOp "the cursor does not stand on a record"

    interface ITableCursor with
        member _.MoveNext() =
            if disposed || ended then invalidOp "the cursor has ended"

            leave ()
            position <- position + 1
            ended <- position >= rows.Length || not (range.Contains(ReadOnlySpan rows[position].Key))

            if not ended then
                key <- Array.copy rows[position].Key
                value <- Array.copy rows[position].Value
                header <- rows[position].Header
                onRecord <- true

            not ended

        member _.Key =
            require ()
            ReadOnlySpan key

        member _.Header =
            require ()
            header

        member _.Value =
            require ()
            ReadOnlySpan value

        member _.Dispose() =
            if not disposed then
                leave ()
                disposed <- true
                handles.Return()

/// The rows of one moment; `current` is asked at each call, so that the same type serves the writer's view of the newest state.
[<Sealed>]
type internal MemoryView(current: unit -> Row array, revision: unit -> int64, handles: Handles, owned: bool) =
    let mutable disposed = false

    do if owned then handles.Take()

    let rows () =
        if disposed then raise (ObjectDisposedException "view")

        current ()

    interface ITableView with
        member _.Revision = revision ()

        member _.TryGetHeader(key, header) =
            match Rows.tryFind (rows ()) key with
            | ValueSome row ->
                header <- row.Header
                true
            | ValueNone ->
                header <- RecordHeader()
                false

        member _.TryGet(key, header, value) =
            match Rows.tryFind (rows ()) key with
            | ValueSome row ->
                header <- row.Header
                value <- ReadOnlyMemory(Array.copy row.Value)
                true
            | ValueNone ->
                header <- RecordHeader()
                value <- ReadOnlyMemory.Empty
                false

        member _.Scan range = new MemoryCursor(rows (), range, handles)

        member _.Dispose() =
            if not owned then invalidOp "the newest state's view belongs to the store"

            if not disposed then
                disposed <- true
                handles.Return()
