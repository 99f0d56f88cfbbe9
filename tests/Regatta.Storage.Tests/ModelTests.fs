/// A table in RocksDB is what the specification says, whatever happens to it.
module Regatta.Storage.Tests.ModelTests

open System
open System.IO
open Expecto
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Tests
open Regatta.Testing
open Regatta.Testing.Tables

/// A table's directory and everything that may happen to it. Crashes alternate between closing without a flush and going on
/// with a copy of the files that were on disk while the store was open.
[<Sealed>]
type private RocksEnvironment(environment: StorageEnvironment, incarnation: Incarnation) =
    let scratch = new Scratch()
    let table = scratch.Path "table"
    let kept = scratch.Path "kept"
    let openTable () = TableStore.Open(table, incarnation, environment)
    let mutable store = openTable ()
    let mutable crashes = 0

    let replaceBy source =
        store.Dispose()
        TableStore.Drop table
        Directory.Move(source, table)
        store <- openTable ()

    let copyOf source =
        let copy = source + ".copy"
        Directory.CreateDirectory copy |> ignore

        for file in Directory.GetFiles source do
            File.Copy(file, Path.Combine(copy, string (Path.GetFileName file)))

        copy

    interface ITableEnvironment with
        member _.Store = store

        member _.Changes from =
            let reader = ChangelogReader(store, from, true)

            [| let mutable reading = true

               while reading do
                   match reader.Read 1_000 with
                   | :? ChangelogRead.Records as records ->
                       for item in records.Items do
                           struct (item.Revision, item.Part, item.Record.ToArray())
                   | :? ChangelogRead.CaughtUp -> reading <- false
                   | other -> failtestf "%A" other |]

        member _.Flush() =
            store.Flush()
            Expect.equal store.Flushed store.Applied "all is flushed"

        member _.Reopen() =
            store.Flush()
            store.Dispose()
            store <- openTable ()

        member _.Crash() =
            crashes <- crashes + 1
            let least = store.Flushed

            if crashes % 2 = 0 then
                store.Dispose()
                store <- openTable ()
            else
                let copy = scratch.Path "still-open"
                StillOpen.copy table copy
                replaceBy copy

            Expect.isGreaterThanOrEqual store.Applied.Index least.Index "what was called flushed is there"

        member _.Checkpoint() =
            TableStore.Drop kept
            store.Checkpoint kept

        member _.Restore() = replaceBy (copyOf kept)

        member _.Dispose() =
            store.Dispose()
            (scratch :> IDisposable).Dispose()

/// Small buffers flush in the middle of things; the default ones hardly ever.
let private equality name share options =
    let commands = Scale.pick 20_000 1_000_000 / share

    testCase name (fun () ->
        use environment = Store.environment options
        let run = ModelEquality.test name commands (fun incarnation -> new RocksEnvironment(environment, incarnation))

        match run with
        | TestLabel(_, TestCase(Sync body, _), _) -> body ()
        | other -> failtestf "%A is no test case" other)

let tests =
    testList
        "a table in RocksDB"
        [ equality "equals the specification with the default options" 2 StorageOptions.Default
          equality
              "equals the specification with the smallest buffers, cache and blocks"
              2
              (StorageOptions(
                  BlockCacheBytes = (1L <<< 20),
                  WriteBufferBytes = (1L <<< 20),
                  TableWriteBufferBytes = (64L <<< 10),
                  BlockBytes = 1024,
                  FilterBitsPerKey = 1,
                  ChangelogMarkBytes = 1024L
              )) ]
