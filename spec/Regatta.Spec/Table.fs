namespace Regatta.Spec

/// One table: all that a node knows of it. Persistent, so that keeping the state of every revision is cheap.
type State =
    { Incarnation: Incarnation
      Revision: Revision
      Entries: Map<Key, Entry>
      Changelog: Changelog }

module Table =
    /// A new table: no keys, revision 0.
    let create incarnation =
        { Incarnation = incarnation
          Revision = 0L
          Entries = Map.empty
          Changelog = Changelog.empty }

    /// The same name again after a deletion or a restore: revisions start again, under a higher number of the same history.
    let recreate number state =
        if number <= state.Incarnation.Number then
            invalidArg (nameof number) $"an incarnation's number only grows: {number} after {state.Incarnation.Number}"

        create { state.Incarnation with Number = number }

    /// What the operations of one command see and change on their way; all of them at one revision.
    type private Work =
        {
            At: Revision
            Entries: Map<Key, Entry>
            /// Latest first.
            Effects: Effect list
        }

    let private put (op: PutOp) work =
        let previous = Map.tryFind op.Key work.Entries

        let entry =
            match previous with
            | Some old -> { old with Value = op.Value; ModRevision = work.At; Version = old.Version + 1L }
            | None -> { Value = op.Value; CreateRevision = work.At; ModRevision = work.At; Version = 1L }

        let prevKv = if op.PrevKv then previous |> Option.map (fun old -> { Key = op.Key; Entry = old }) else None

        Response.Put prevKv,
        { work with
            Entries = Map.add op.Key entry work.Entries
            Effects = Effect.Put(op.Key, entry) :: work.Effects }

    let private delete (op: DeleteOp) work =
        let found = Reading.select op.Range work.Entries
        let removed = found |> List.map _.Key
        let deleted = if op.Count || op.PrevKv then int64 found.Length else 0L

        Response.Delete(deleted, (if op.PrevKv then found else [])),
        { work with
            Entries = List.foldBack Map.remove removed work.Entries
            Effects = if removed.IsEmpty then work.Effects else Effect.Delete(op.Range, removed) :: work.Effects }

    let private perform op work =
        match op with
        | Op.Range range -> Response.Range(Reading.range range RevisionFilter.None work.Entries), work
        | Op.Put op -> put op work
        | Op.Delete op -> delete op work

    /// Compares first, all on the state before; then the operations of one branch in order, each seeing what those before it did.
    let private transact (txn: Txn) work =
        let succeeded = txn.Compares |> List.forall (fun compared -> Reading.holds compared work.Entries)
        let step work op = let response, work = perform op work in response, work
        let responses, work = List.mapFold step work (if succeeded then txn.Success else txn.Failure)
        Response.Txn(succeeded, responses), work

    let private execute command work =
        match command with
        | Command.Put op -> put op work
        | Command.Delete op -> delete op work
        | Command.Txn txn -> transact txn work
        | Command.Dummy -> Response.Dummy, work

    let private start revision (state: State) = { At = revision; Entries = state.Entries; Effects = [] }

    /// A command takes effect: whatever it does or fails to do, it takes the next revision. A read-only transaction is the exception:
    /// it is not a mutating request, takes none and leaves the state as it is.
    let apply (state: State) command : State * Reply =
        if Command.mutates command then
            let revision = state.Revision + 1L
            let response, work = execute command (start revision state)

            { state with
                Revision = revision
                Entries = work.Entries
                Changelog = Changelog.add revision (List.rev work.Effects) state.Changelog },
            { Revision = revision; Response = response }
        else
            let response, _ = execute command (start state.Revision state)
            state, { Revision = state.Revision; Response = response }

    /// A read of one state: the current one or any earlier one that was kept.
    let query (state: State) query : Reply =
        let response =
            match query with
            | Query.Range(op, filter) -> Response.Range(Reading.range op filter state.Entries)
            | Query.Txn txn when Txn.isReadOnly txn -> transact txn (start state.Revision state) |> fst
            | Query.Txn _ -> invalidArg (nameof query) "a transaction that can change something is a command, not a query"

        { Revision = state.Revision; Response = response }

    /// The effects of the next revision, at another site or after a crash: does what the command did, without its compares and reads.
    let replay (state: State) (revision, effects) =
        if revision <> state.Revision + 1L then
            invalidArg (nameof revision) $"revision {revision} does not follow {state.Revision}"

        apply state (Effect.toCommand effects) |> fst

    /// All pairs, in key order: what two equal tables agree on.
    let content (state: State) : KeyValue list = [ for key, entry in Map.toSeq state.Entries -> { Key = key; Entry = entry } ]

    /// Forget the changelog below a revision; each node does it when it likes, no reader of the data can tell.
    let trim oldest state = { state with Changelog = Changelog.trim oldest state.Changelog }
