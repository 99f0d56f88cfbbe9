namespace Regatta.Testing.Tables

open System
open Regatta.Core

/// A store, and what can happen to it between two writes. After `Reopen`, `Crash` and `Restore` the store is another object, and may
/// have gone back to an earlier state; the run replays the log from there.
type ITableEnvironment =
    inherit IDisposable
    abstract Store: ITableStore
    /// The changelog from a revision on: revision, part, record, in order. Nothing is trimmed while a run lasts.
    abstract Changes: from: int64 -> struct (int64 * int * byte array) array
    /// Everything written so far must survive a crash.
    abstract Flush: unit -> unit
    /// Close in good order, and open again.
    abstract Reopen: unit -> unit
    /// Lose what is not flushed (some or all of it), and open again.
    abstract Crash: unit -> unit
    /// Keep a copy of the state, in place of the one kept before.
    abstract Checkpoint: unit -> unit
    /// Replace the state by the copy kept last; called only when there is one.
    abstract Restore: unit -> unit

/// The environment of a MemoryTableStore. A crash loses all that was not flushed.
[<Sealed>]
type MemoryEnvironment(incarnation: Incarnation) =
    let mutable store = MemoryTableStore incarnation
    let mutable flushed = store.State
    let mutable kept = store.State

    let openWith state =
        if store.OpenHandles > 0 then invalidOp $"{store.OpenHandles} views, cursors or batches were not disposed"

        store <- MemoryTableStore incarnation
        store.State <- state

    interface ITableEnvironment with
        member _.Store = store
        member _.Changes from = store.Changes from
        member _.Flush() = flushed <- store.State
        member _.Reopen() = openWith store.State
        member _.Crash() = openWith flushed
        member _.Checkpoint() = kept <- store.State

        member _.Restore() =
            flushed <- kept
            openWith kept

        member _.Dispose() = openWith store.State
