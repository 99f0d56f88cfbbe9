/// Short ways to write commands, and a table to apply them to.
module Regatta.Core.Tests.Build

open System
open System.Collections.Immutable
open System.Text
open Expecto
open Regatta.Core
open Regatta.Testing.Tables

let bytes (text: string) = ReadOnlyMemory(Encoding.UTF8.GetBytes text)
let text (memory: ReadOnlyMemory<byte>) = Encoding.UTF8.GetString memory.Span
let incarnation = Incarnation(Guid "6f0e9d5c-3a41-4c5e-9a1b-2f7d8c3b4a59", 7L)

let single key = KeyRange.Single(bytes key)
let interval first last = KeyRange.Interval(bytes first, bytes last)
let from first = KeyRange.From(bytes first)
let everything = from "\000"

let put key value = PutCommand(bytes key, bytes value, true) :> TableCommand
let delete range = DeleteRangeCommand(range, true, true) :> TableCommand

let txn compares success failure =
    TxnCommand([| yield! compares |].ToImmutableArray(), [| yield! success |].ToImmutableArray(), [| yield! failure |].ToImmutableArray())

let doing success = txn [] success [] :> TableCommand

let putOp key value = TxnOp.Put(bytes key, bytes value, true) :> TxnOp
let deleteOp range = TxnOp.DeleteRange(range, true, true) :> TxnOp
let rangeOp range = TxnOp.Range(range, 0L, false, false) :> TxnOp
let compareNumber range operator target number = Compare(range, operator, target, ReadOnlyMemory.Empty, number)
let compareValue range operator value = Compare(range, operator, CompareTarget.Value, bytes value, 0L)

let payload (commands: TableCommand seq) =
    let writer = EntryWriter()
    Seq.iter writer.Append commands
    writer.ToPayload()

type private Receiver() =
    let results = ResizeArray<CommandResult>()
    member _.Results = List.ofSeq results

    interface ICommandResults with
        member _.Set(position, result) =
            Expect.equal position results.Count "positions are set in order"
            results.Add result

/// A table in memory with its machine, one entry per call.
type TableUnderTest(pageBytes: int) =
    let store = MemoryTableStore incarnation
    let machine = TableMachine(store, pageBytes)
    new() = TableUnderTest PageSize.Default
    member _.Store = store :> ITableStore
    member _.Memory = store
    member _.Machine = machine
    member _.Applied = (store :> ITableStore).Applied

    member this.Apply(commands: TableCommand list) =
        let receiver = Receiver()
        machine.Apply(ReadOnlySpan [| CommittedEntry(this.Applied.Index + 1L, 1L, payload commands, receiver) |])
        receiver.Results

    member this.One command = this.Apply [ command ] |> List.exactlyOne

    /// Keys with create revision, mod revision, version and value.
    member _.Content =
        use view = (store :> ITableReader).OpenView()
        use reader = new RangeReader(view, RangeQuery(KeyRange.From ReadOnlyMemory.Empty, 0L, false, false), Int32.MaxValue)
        let page = Expect.wantSome (Option.ofObj (reader.NextPage())) "there is a page"
        [ for r in page.Records -> text r.Key, (r.Header.CreateRevision, r.Header.ModRevision, r.Header.Version), text r.Value ]

/// A result as the type that it must have.
let wanted<'result when 'result :> CommandResult> (result: CommandResult) =
    match box result with
    | :? 'result as result -> result
    | other -> failtestf "a %s where a %s is due" (other.GetType().Name) typeof<'result>.Name

let responses result = (wanted<TxnResult> result).Responses |> List.ofSeq

/// The keys of a range operation's answer.
let keysOf (result: TxnOpResult) =
    match result with
    | :? TxnOpResult.Range as range -> [ for record in range.Records -> text record.Key ]
    | other -> failtestf "a %s where a range is due" (other.GetType().Name)

/// An action that must refuse data, with a message that contains the text.
let refuses (text: string) action =
    try
        action ()
        failtestf "nothing was refused; expected: %s" text
    with :? IO.InvalidDataException as refusal ->
        Expect.stringContains refusal.Message text "the reason"
