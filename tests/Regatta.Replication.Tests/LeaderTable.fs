namespace Regatta.Replication.Tests

open System
open System.Collections.Generic
open System.Collections.Immutable
open System.Threading
open System.Threading.Tasks
open FsCheck
open FsCheck.FSharp
open Regatta
open Regatta.Raft
open Regatta.Testing.Tables

/// A table of a leader site, with all states that it has ever had: what replication is measured by. Its changelog is that of the real state machine.
/// `start` is a state to go on from, of a table of the same life that was put back.
[<Sealed>]
type LeaderTable private (scene: Scene, life: Core.Incarnation, start: (Spec.State * Core.ChainHash * MemoryState) list) =
    let store = MemoryTableStore life
    let machine = Core.TableMachine store
    let states = ResizeArray<struct (Spec.State * Core.ChainHash * MemoryState)>()
    let times = ResizeArray<int64>()
    let events = Dictionary<int64, Seen list>()
    let waiting = Waiters()
    let writer = Core.EntryWriter()
    let reader = store :> Core.ITableReader

    do
        for state, chain, kept in start do
            states.Add(struct (state, chain, kept))
            times.Add(scene.Time.GetTimestamp())
            store.State <- kept

    new(scene, life: Core.Incarnation) =
        let spec: Spec.Incarnation = { History = life.History; Number = life.Number }
        let empty = MemoryTableStore life
        LeaderTable(scene, life, [ Spec.Table.create spec, Core.ChainHash(), empty.State ])

    member _.Life = life
    member _.Revision = reader.Revision

    /// Happens after each read of the changelog with the keys that range deletes removed, before its reader gets on.
    member val AfterRead: unit -> unit = ignore with get, set

    /// The first revision that is still in the changelog.
    member val Oldest = 1L with get, set

    /// Cuts the changelog somewhere, perhaps behind its last revision.
    member table.Trim() = table.Oldest <- max table.Oldest (1L + scene.Random.NextInt64(table.Revision + 1L))

    /// What the specification says of a revision, and the chain's end there.
    member _.At(revision: int64) =
        let struct (state, chain, _) = states[int revision]
        state, chain

    /// When a revision was written.
    member _.WrittenAt(revision: int64) = times[int revision]

    /// What a revision did, whether the changelog still has it or not.
    member _.Events(revision: int64) =
        match events.TryGetValue revision with
        | true, found -> found
        | _ ->
            let records =
                store.Changes revision
                |> Seq.takeWhile (fun (struct (at, _, _)) -> at = revision)
                |> Seq.map (fun (struct (at, part, record)) -> Core.StoredChange(at, part, ReadOnlyMemory record))

            let found = Seen.ofRecords (List.ofSeq records)
            events.Add(revision, found)
            found

    /// All that the table held at a revision.
    member _.Kept(revision: int64) =
        let struct (_, _, kept) = states[int revision]
        kept

    /// The same table as it was once.
    member _.PutBack(revision: int64) =
        let kept = [ for struct (state, chain, kept) in Seq.take (int revision + 1) states -> state, chain, kept ]
        LeaderTable(scene, life, kept)

    /// The next command, drawn in view of the state.
    member table.Write() =
        let struct (state, _, _) = states[states.Count - 1]
        let rnd = Rnd(uint64 (scene.Random.NextInt64()))
        table.Apply((Gen.sampleWithSeed rnd 50 1 (Spec.Generate.command state))[0])

    /// Puts so many keys in one revision, or deletes a range of them if they are there.
    member table.WriteMany(count: int) =
        let struct (state, _, _) = states[states.Count - 1]
        let range = Spec.KeyRange.prefix (Spec.Bytes.OfText "b/")
        let padding = String('x', 80)

        let put number : Spec.Op =
            Spec.Op.Put
                { Key = Spec.Bytes.OfText $"b/{number:d5}/{padding}"
                  Value = Spec.Bytes.Empty
                  PrevKv = false }

        table.Apply(
            if state.Entries |> Map.exists (fun key _ -> Spec.KeyRange.contains range key) then
                Spec.Command.Delete { Range = range; PrevKv = false; Count = false }
            else
                Spec.Command.Txn { Compares = []; Success = List.init count put; Failure = [] }
        )

    member private table.Apply(command: Spec.Command) =
        let struct (state, _, _) = states[states.Count - 1]
        writer.Reset()
        writer.Append(Translation.command command)
        let index = (store :> Core.ITableStore).Applied.Index + 1L
        machine.Apply(ReadOnlySpan [| Core.CommittedEntry(index, 1L, writer.ToPayload(), null) |])
        states.Add(struct (fst (Spec.Table.apply state command), (store :> Core.ITableStore).Applied.Chain, store.State))
        times.Add(scene.Time.GetTimestamp())
        scene.Tell(fun () -> $"{table} writes revision {table.Revision}")
        waiting.Arrive table.Revision

    override _.ToString() = $"the leader's table {life.History.ToString().Substring(0, 2)}/{life.Number}"

    interface Core.ITableReader with
        member _.Revision = reader.Revision
        member _.Get(key, withValue) = reader.Get(key, withValue)
        member _.OpenView() = reader.OpenView()

        member table.ReadChain revision =
            if revision < table.Oldest && revision < reader.Revision then
                Core.ChainRead(false, Core.ChainHash(), table.Oldest)
            else
                reader.ReadChain revision

        member table.OpenChanges(from, withParts) =
            let changes = reader.OpenChanges(from, withParts)
            let next = ref from

            { new Core.IChangeReader with
                member _.BytesLeft = changes.BytesLeft

                member _.Read maxBytes =
                    if next.Value < table.Oldest then
                        Core.ChangelogRead.Compacted table.Oldest
                    else
                        let read = changes.Read maxBytes

                        match read with
                        | :? Core.ChangelogRead.Records as records -> next.Value <- records.Items[records.Items.Length - 1].Revision + 1L
                        | _ -> ()

                        if withParts then table.AfterRead()
                        read }

    interface ITableGroup with
        member _.GroupId = life.Number
        member table.Reader = table
        member _.ReadBarrierAsync _ = ValueTask<BarrierOutcome>(BarrierOutcome())

        member table.WaitForRevisionAsync(revision, token) =
            if revision <= table.Revision then ValueTask.CompletedTask else ValueTask(waiting.Wait(revision, token))

        member _.ProposeAsync(_, _) = raise (NotSupportedException())
        member _.OpenViewAsync(_, _) = raise (NotSupportedException())
        member _.LedAtAsync _ = raise (NotSupportedException())
        member _.MoveLeaderAsync(_, _) = raise (NotSupportedException())
        member _.Term = 1L
        member _.LeaderNodeId = 1L
        member _.Fault = null
        member _.Status = raise (NotSupportedException())
        member _.DisposeAsync() = ValueTask.CompletedTask
