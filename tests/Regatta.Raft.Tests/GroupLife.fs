/// A group on a table in memory, through its lives on one disk.
module Regatta.Raft.Tests.GroupLife

open System
open System.IO
open System.Threading.Tasks
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Core
open Regatta.Raft
open Regatta.Testing.Tables
open Regatta.Raft.Tests.Fixtures

let incarnation = Incarnation(Guid.Parse "6c1f7a52-39a5-4b7e-9d5c-0d2b8d3f9a11", 3L)

let storeOf state =
    let store = MemoryTableStore incarnation
    store.State <- state
    store

let appliedOf state = (storeOf state :> ITableStore).Applied

/// A table in memory whose disk is a copy of it: a crash goes back to the copy.
type Disk() =
    let mutable state = (MemoryTableStore incarnation).State
    member val Flushes = 0 with get, set

    member _.State
        with get () = state
        and set value = state <- value

/// A store that can be made to fail its next write.
type private Guarded(inner: MemoryTableStore, failure: unit -> exn option, written: AppliedState -> unit) =
    let store = inner :> ITableStore

    interface ITableStore with
        member _.Applied = store.Applied
        member _.Latest = store.Latest
        member _.NewBatch() = store.NewBatch()

        member _.Write(batch, next) =
            match failure () with
            | Some cause -> raise cause
            | None ->
                store.Write(batch, &next)
                written next

    interface ITableReader with
        member _.Revision = store.Revision
        member _.Get(key, withValue) = store.Get(key, withValue)
        member _.OpenView() = store.OpenView()
        member _.ReadChain revision = store.ReadChain revision
        member _.OpenChanges(from, withParts) = store.OpenChanges(from, withParts)

type MemoryState(disk: Disk) =
    let store = MemoryTableStore incarnation
    do store.State <- disk.State
    member val WriteFailure: exn option = None with get, set
    member val Error: string | null = null with get, set

    /// Told of each write that was applied, before readers are.
    member val Written: AppliedState -> unit = ignore with get, set

    member _.Rows = store

    interface IGroupState with
        member this.Store = Guarded(store, (fun () -> this.WriteFailure), (fun state -> this.Written state)) :> ITableStore
        member _.Flushed = appliedOf disk.State
        member _.Bytes = 0L
        member _.OldestRevision = 0L
        member this.BackgroundError = this.Error

        member _.Flush() =
            disk.Flushes <- disk.Flushes + 1
            disk.State <- store.State

        member _.TrimChangelog() = ()
        member _.TryInstall(_, _, _) = false
        member _.Dispose() = ()

/// One life of a node with one group: what it was given on disk, until it is stopped or crashes.
type Life(directory: string, disk: Disk, options: GroupOptions, time: TimeProvider, gate: WriteGate) =
    let failStop = new FailStop()

    let log = openStore (Path.Combine(directory, "log")) failStop (Some gate)
    let mutable free = Int64.MaxValue
    let room = DiskRoom(1000L, (fun () -> free))

    let setting =
        GroupSetting(
            1L,
            SiteMembers.Alone 1L,
            log,
            Path.Combine(directory, "scratch"),
            failStop,
            room,
            options,
            NullLoggerFactory.Instance,
            time
        )

    let state = new MemoryState(disk)
    let mutable group: TableGroup | null = null

    new(directory, disk) = new Life(directory, disk, GroupOptions(), TimeProvider.System, WriteGate())
    member _.Gate = gate
    member _.FailStop = failStop
    member _.State = state
    member _.Log = log

    member _.Free
        with set value =
            free <- value
            room.Measure() |> ignore

    member _.Group = nonNull group

    member _.Start() =
        task {
            let! started = soonResult (TableGroup.StartAsync(GroupSpec(7L, "table", incarnation), setting, state))
            group <- started
            // What the host does when the node must stop.
            failStop.Token.Register(fun () -> started.Abort(string failStop.Cause)) |> ignore
            return started
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    gate.Open()

                    match group with
                    | null -> ()
                    | started -> do! soon (started.DisposeAsync().AsTask())

                    log.Dispose()
                    failStop.Dispose()
                }
                :> Task
            )
