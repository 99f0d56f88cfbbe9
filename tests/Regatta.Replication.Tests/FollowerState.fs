namespace Regatta.Replication.Tests

open System
open System.Collections.Generic
open Regatta.Core
open Regatta.Testing.Tables

/// A state machine that is wrong on purpose.
type PlantedBug =
    | NoBug
    /// It applies batches that it has passed. (One that is ahead of it never gets into a log: a puller proposes only what follows a state that it has seen applied.)
    | TakesWhatIsBehind
    /// It installs states that it has passed.
    | InstallsWhatIsBehind
    /// It installs states of another life of the table.
    | InstallsAnotherLife
    /// It goes on behind an installation whose state it has not got.
    | SkipsWhatIsNotHere
    /// A bound on staleness counts from when the probe's answer came, and not from when it was asked.
    | CountsFromTheAnswer
    /// Sessions are served from whatever the node has.
    | ForgetsTheSession
    /// Watches go on when a whole state takes the place of the one that they read, and pass what its changelog does not have over.
    | WatchesOn

/// What one node of a follower site has of a table: its state, of which a part is on disk, and whole states that can take its place. Installations are applied as the
/// groups' applier does it, all else by the real state machine.
[<Sealed>]
type FollowerState(life: Incarnation, bug: PlantedBug) =
    let store = MemoryTableStore life
    let mutable machine = TableMachine store
    let mutable flushed = store.State
    /// A whole state comes without a changelog: the first revision that is in it again.
    let mutable oldest = 1L
    let mutable flushedOldest = 1L
    let mutable exchanges = 0
    let staged = Dictionary<UInt128, struct (InstallCommand * MemoryState)>()
    let applied () = (store :> ITableStore).Applied

    let twisted (payload: ReadOnlyMemory<byte>) =
        let mutable entry = EntryReader payload
        let mutable command: TableCommand | null = null
        let revision = applied().Revision

        if bug <> NoBug && entry.TryRead &command then
            match command with
            | :? ReplicatedBatch as batch when bug = TakesWhatIsBehind && batch.Before < revision ->
                let writer = EntryWriter()
                writer.Append(ReplicatedBatch(batch.Incarnation, revision, batch.Commands))
                writer.ToPayload()
            | _ -> payload
        else
            payload

    let advances (install: InstallCommand) =
        let now = applied ()

        install.Advances(now.Incarnation, now.Revision)
        || (bug = InstallsWhatIsBehind && install.Incarnation = life)
        || (bug = InstallsAnotherLife && install.Incarnation <> life)

    let pass index = machine.Apply(ReadOnlySpan [| CommittedEntry(index, 1L, ReadOnlyMemory.Empty, null) |])

    let flush () =
        flushed <- store.State
        flushedOldest <- oldest

    let takeOver state index =
        store.Install(state, index, 1L)
        oldest <- applied().Revision + 1L

    /// The machine remembers what it has put into the former state.
    let exchange change =
        change ()
        machine <- TableMachine store
        exchanges <- exchanges + 1
        flush ()

    member _.Reader = store :> ITableReader
    member _.Applied = applied ()

    /// Applies an entry.
    /// False: it installs a state that is not here.
    member _.Apply(index: int64, payload, results: ICommandResults | null) =
        match EntryReader.ReadInstall payload with
        | null ->
            machine.Apply(ReadOnlySpan [| CommittedEntry(index, 1L, twisted payload, results) |])
            true
        | install ->
            let isDue = advances install

            match isDue, staged.TryGetValue install.Files with
            | true, (true, struct (_, state)) -> exchange (fun () -> takeOver state index)
            | true, _ -> if bug = SkipsWhatIsNotHere then pass index
            | false, _ -> pass index

            let isDone = applied().Index = index
            if isDone then results |> Option.ofObj |> Option.iter _.Set(0, ReplicatedResult(applied().Revision, isDue))
            isDone

    /// Another node's state, as a node gets it that is behind the log.
    member _.CopyFrom(other: FollowerState) =
        exchange (fun () ->
            store.State <- other.Kept
            oldest <- other.Oldest)

    member _.Kept = store.State

    /// The least revision that is in the changelog.
    member _.Oldest = oldest

    /// How often another state has taken the place of this one: who reads the changelog, or waits, must begin again.
    member _.Exchanges = exchanges

    member _.ReadChain(revision: int64) =
        if revision < oldest && revision < applied().Revision then
            ChainRead(false, ChainHash(), min oldest (applied().Revision))
        else
            (store :> ITableReader).ReadChain revision

    member _.OpenChanges(from, withParts) =
        let changes = (store :> ITableReader).OpenChanges(from, withParts)
        let mine = exchanges

        { new IChangeReader with
            member _.BytesLeft = changes.BytesLeft

            member _.Read maxBytes =
                if mine <> exchanges && bug <> WatchesOn then raise (ObjectDisposedException "the state")
                elif from < oldest && bug <> WatchesOn then ChangelogRead.Compacted oldest
                else changes.Read maxBytes }

    /// A state is on this node's disk that can take the place of the table's.
    member _.Stage(install: InstallCommand, state) = staged[install.Files] <- struct (install, state)

    /// The newest of those that the table has not passed.
    member _.Staged =
        staged.Values
        |> Seq.map (fun struct (install, state) -> install, state)
        |> Seq.filter (fun (install, _) -> install.Advances(life, applied().Revision))
        |> Seq.sortByDescending (fun (install, _) -> install.Revision)
        |> Seq.tryHead

    member _.Flush() = flush ()

    /// The node has died and is back, with what was on disk.
    member _.Crash() =
        store.State <- flushed
        oldest <- flushedOldest
        exchanges <- exchanges + 1
        machine <- TableMachine store
