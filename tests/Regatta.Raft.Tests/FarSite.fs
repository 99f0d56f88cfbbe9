/// A leader site that gives whole states of its table, and what a follower site does with them.
module Regatta.Raft.Tests.FarSite

open System
open System.IO
open System.IO.Hashing
open System.Text
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Core
open Regatta.Raft
open Regatta.Storage
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.SnapshotFixtures

let asker = -1L

/// One node of a leader site, with one table. What it answers can be changed on the way.
type FarSite(incarnation: Incarnation, seed: int) =
    let directory = new TemporaryDirectory()
    let environment = environment ()
    let random = Random seed
    let store = TableStore.Open(directory.Sub "table", incarnation, environment)
    let mutable reads = 0

    let mutable spoil: string -> unit = ignore

    let checkpoint (target: string) =
        store.Checkpoint target
        spoil target

    let origin _ = SnapshotOrigin(Action<string> checkpoint, (fun () -> store.Applied), (fun () -> 900L))

    let source =
        new SnapshotSource(
            directory.Sub "scratch",
            origin,
            SnapshotSourceOptions(),
            TimeProvider.System,
            NullLogger<SnapshotSource>.Instance
        )

    member _.Applied = store.Applied
    member _.Store = store

    /// Each entry is of 50 revisions; the indexes are far beyond those of a young group.
    member _.Write entries = fill store random entries

    /// What happens to the files of a state before they are hashed and given away.
    member _.Spoil
        with set value = spoil <- value

    /// What is waited for before a call is answered.
    member val Before: PeerMethod -> CancellationToken -> Task = (fun _ _ -> Task.CompletedTask) with get, set

    /// What becomes of an answer.
    member val Change: PeerMethod -> byte array -> byte array = (fun _ reply -> reply) with get, set

    /// Another follower opens what the table is now, and does not close it.
    member _.Hold() =
        task {
            let request = ReadOnlyMemory(SnapshotOpenRequest(0L).Encode())
            let! _ = source.HandleAsync(asker - 1L, 1L, PeerMethod.SnapshotOpen, request, CancellationToken.None)
            ()
        }

    /// Pieces that were read.
    member _.Reads = Volatile.Read &reads

    member site.Call =
        FarCall(fun call request token ->
            task {
                let method = LanguagePrimitives.EnumOfValue<byte, PeerMethod> call
                if method = PeerMethod.SnapshotRead then Interlocked.Increment &reads |> ignore
                do! site.Before method token
                let! reply = source.HandleAsync(asker, 1L, method, request, token)
                return ReadOnlyMemory(site.Change method (reply.ToArray()))
            })

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    do! source.DisposeAsync()
                    store.Dispose()
                    environment.Dispose()
                    (directory :> IDisposable).Dispose()
                }
                :> Task
            )

/// A hash over all records.
let recordsOf (reader: ITableReader) =
    use view = reader.OpenView()
    use cursor = view.Scan(KeyRange.From(ReadOnlyMemory [||]))
    let hash = XxHash128()

    while cursor.MoveNext() do
        hash.Append cursor.Key
        hash.Append cursor.Value
        hash.Append(ReadOnlySpan(Encoding.UTF8.GetBytes(string cursor.Header)))

    view.Revision, hash.GetCurrentHashAsUInt128()

let stage (host: GroupHost) (group: int64) (far: FarSite) (token: CancellationToken) =
    host.StageAsync(group, far.Call, token).WaitAsync patience

/// Whether it was carried out, and the revision behind it.
let propose (group: ITableGroup) (install: InstallCommand) =
    task {
        let! outcome = soonResult (group.ProposeAsync(install, CancellationToken.None).AsTask())

        match outcome.Result with
        | :? ReplicatedResult as result -> return result.IsApplied, result.Revision
        | _ -> return failtestf "the installation: %O %s" outcome.Failure (string outcome.Reason)
    }

/// The states of a group that a node's disk holds, beside its table's first directory.
let generationsOf (directory: NodeDirectory) (group: int64) =
    directory.Generations(group).All |> Seq.map (fun path -> string (Path.GetFileName path)) |> Seq.sort |> List.ofSeq

let nameOf (install: InstallCommand) = StagedState.NameOf install.Files

/// What is on its way to a node's disk for a group.
let onTheWay (directory: NodeDirectory) (group: int64) = Directory.Exists(directory.SnapshotPath -group)

/// Looks again until it is so.
let untilSoAsync (look: unit -> Task<bool>) =
    let rec again () =
        task {
            let! isSo = look ()

            if not isSo then
                do! Task.Delay 10
                return! again ()
        }

    soon (again ())

let untilSo (look: unit -> bool) = untilSoAsync (look >> Task.FromResult)
