namespace Regatta.Testing.Tables

open System
open Expecto
open Regatta
open Regatta.Spec

type private Results(count: int) =
    let slots: Core.CommandResult option array = Array.create count None

    /// In order; every command has one.
    member _.All = slots |> Seq.mapi (fun position slot -> Expect.wantSome slot $"position {position} is answered") |> List.ofSeq

    interface Core.ICommandResults with
        member _.Set(position, result) =
            Expect.isNone slots[position] $"position {position} is answered once"
            slots[position] <- Some result

/// An entry as the log has it, and what the model answers to its commands.
type private Logged = { Index: int64; Term: int64; Payload: byte array; Replies: Reply list }

/// One script against one environment, compared with the model at each step. A second table, in memory, takes the same commands one
/// entry and one call each and nobody waits for its answers: neither grouping nor answering may show in the state.
type internal ModelRun(environment: ITableEnvironment, pageBytes: int) =
    let log = ResizeArray<Logged>()
    let writer = Core.EntryWriter()
    let twin = MemoryTableStore(Translation.incarnation Generate.incarnation)
    let twinMachine = Core.TableMachine twin
    /// The model's state after each entry of the log; at 0 before the first.
    let states = ResizeArray [ Table.create Generate.incarnation ]
    let mutable machine = Core.TableMachine(environment.Store, pageBytes)
    let mutable flushed = 0L
    let mutable kept: int64 option = None

    let payload commands =
        writer.Reset()
        List.iter (Translation.command >> writer.Append) commands
        writer.ToPayload().ToArray()

    let sameContent (store: Core.ITableStore) (model: State) =
        use view = store.OpenView()
        use cursor = view.Scan(Core.KeyRange.From(ReadOnlyMemory [||]))
        let found = ResizeArray()

        while cursor.MoveNext() do
            let entry = Translation.entry cursor.Header (ReadOnlyMemory(cursor.Value.ToArray()))
            found.Add({ Key = Bytes.OfSpan cursor.Key; Entry = entry }: KeyValue)

        Expect.equal view.Revision model.Revision "revision of the view"
        Expect.equal (List.ofSeq found) (Table.content model) $"content at revision {model.Revision}"

    /// Every key of the universe in turn, without a view.
    let samePoint (store: Core.ITableStore) (model: State) =
        let key = Generate.keys[int model.Revision % Generate.keys.Length]
        let read = store.Get(key.Memory.Span, true)
        let expected = Map.tryFind key model.Entries
        let actual = if read.Found then Some(Translation.entry read.Header read.Value) else None
        Expect.equal read.Revision model.Revision "revision of a point read"
        Expect.equal actual expected $"point read of {key}"

    let sameState () =
        let store = environment.Store
        let model = states[int store.Applied.Index]
        Expect.equal store.Applied.Revision model.Revision $"revision at index {store.Applied.Index}"
        Expect.equal store.Revision model.Revision "revision that readers see"
        sameContent store model
        samePoint store model

    /// Answers are kept for every entry but each fifth: nobody waits there, as on all nodes but one.
    let apply (entries: Logged list) =
        let committed =
            [| for entry in entries ->
                   let results = if entry.Index % 5L = 0L then None else Some(Results entry.Replies.Length)
                   let receiver = results |> Option.map (fun results -> results :> Core.ICommandResults) |> Option.toObj
                   // The machine gets a copy that is wiped afterwards: no answer may be a slice of it.
                   let bytes = Array.copy entry.Payload
                   bytes, results, Core.CommittedEntry(entry.Index, entry.Term, ReadOnlyMemory bytes, receiver) |]

        let before = environment.Store.Applied.Index
        machine.Apply(ReadOnlySpan [| for _, _, entry in committed -> entry |])

        for entry, (bytes, results, _) in Seq.zip entries committed do
            Array.fill bytes 0 bytes.Length 0xeeuy

            match results with
            | Some results when entry.Index > before ->
                let actual = List.map Translation.reply results.All
                Expect.equal actual (List.map (PageCuts.reply pageBytes) entry.Replies) $"answers of entry {entry.Index}"
            | _ -> ()

    let append commands =
        let replies, state =
            List.mapFold
                (fun state command -> let state, reply = Table.apply state command in reply, state)
                states[states.Count - 1]
                commands

        let index = int64 log.Count + 1L
        let bytes = if List.isEmpty commands && index % 2L = 0L then [||] else payload commands
        let entry = { Index = index; Term = index / 7L + 1L; Payload = bytes; Replies = replies }
        log.Add entry
        states.Add state
        entry

    let applyToTwin commands =
        for command in commands do
            let index = (twin :> Core.ITableStore).Applied.Index + 1L
            twinMachine.Apply(ReadOnlySpan [| Core.CommittedEntry(index, 1L, ReadOnlyMemory(payload [ command ]), null) |])

    let sameAsTwin () =
        let actual = environment.Store.Applied

        Expect.equal
            actual.Chain
            (twin :> Core.ITableStore).Applied.Chain
            $"chain hash at revision {actual.Revision}, whatever the grouping"

        let hash (store: Core.ITableReader) =
            use view = store.OpenView()
            Core.TableHash.Of(view, Threading.CancellationToken.None)

        Expect.equal (hash environment.Store) (hash twin) $"hash of the content at revision {actual.Revision}, whatever the store"

    let read query bytes =
        use view = environment.Store.OpenView()
        let model = states[states.Count - 1]
        let expected = Table.query model query

        match query, expected.Response with
        | Query.Range(op, filter), Response.Range whole ->
            use reader = new Core.RangeReader(view, Translation.rangeQuery op filter, bytes)
            let next () = reader.NextPage() |> Option.ofObj |> Option.map (fun page -> Translation.answer page, ())
            let pages = List.unfold next ()
            let first = Core.TableQueries.Range(view, Translation.rangeQuery op filter, bytes, Threading.CancellationToken.None)
            Expect.equal pages (PageCuts.pages bytes whole) "pages"
            Expect.wantOk (Pages.concatenate whole pages) "pages as the specification has them"
            Expect.equal (Translation.answer first) pages.Head "first page"
        | Query.Txn txn, _ ->
            let actual = Core.TableQueries.Evaluate(view, Translation.txn txn, bytes, Threading.CancellationToken.None)
            Expect.equal (Translation.reply actual) (PageCuts.reply bytes expected) "read-only transaction"
        | other -> failtestf "the model answers %A" other

    /// The store is at an earlier entry of the log, or the same. The log is applied from there, with entries before it that must be skipped.
    let recover lowest =
        machine <- Core.TableMachine(environment.Store, pageBytes)
        let applied = environment.Store.Applied.Index
        Expect.isTrue (lowest <= applied && applied <= int64 log.Count) $"entry {applied} is applied, between {lowest} and {log.Count}"
        sameState ()
        log |> Seq.skip (max 0 (int applied - 2)) |> Seq.chunkBySize 3 |> Seq.iter (List.ofArray >> apply)
        sameState ()

    let disturb disturbance =
        match disturbance, kept with
        | Flush, _ ->
            environment.Flush()
            flushed <- int64 log.Count
        | Reopen, _ ->
            environment.Reopen()
            recover flushed
        | Crash, _ ->
            environment.Crash()
            recover flushed
        | Checkpoint, _ ->
            environment.Checkpoint()
            kept <- Some(int64 log.Count)
        | Restore, Some index ->
            environment.Restore()
            Expect.equal environment.Store.Applied.Index index "entry of the checkpoint"
            flushed <- index
            recover index
        | Restore, None -> ()

    let step step =
        match step with
        | Apply entries ->
            entries |> List.map append |> apply
            List.iter applyToTwin entries
            sameState ()
            sameAsTwin ()
        | Read(query, bytes) -> read query bytes
        | Disturb disturbance -> disturb disturbance

    member _.Execute script =
        List.iter step script.Steps
        ChangelogCheck.verify environment states[states.Count - 1] sameContent
