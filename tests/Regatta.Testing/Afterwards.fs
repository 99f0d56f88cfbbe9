/// F#'s `use` of an IAsyncDisposable in a task drops what DisposeAsync throws. What a test finds out while it takes its parts apart must fail it all the same.
module Regatta.Testing.Afterwards

open System.Collections.Concurrent
open System.Runtime.ExceptionServices
open System.Threading
open System.Threading.Tasks

let private failures = AsyncLocal<ConcurrentQueue<exn> | null>()

/// To be called in DisposeAsync, of what belongs to a test that `run` runs.
let check (what: unit -> unit) =
    try
        what ()
    with e ->
        match failures.Value with
        | null -> ExceptionDispatchInfo.Throw e
        | found -> found.Enqueue e

/// The same of what takes its time.
let checkAsync (what: unit -> Task<unit>) =
    task {
        try
            do! what ()
        with e ->
            check (fun () -> ExceptionDispatchInfo.Throw e)
    }

/// The body of a test. Its own failure comes first.
let run (body: unit -> Task<unit>) =
    task {
        let found = ConcurrentQueue<exn>()
        failures.Value <- found
        do! body ()

        match found.TryDequeue() with
        | true, failure -> ExceptionDispatchInfo.Throw failure
        | _ -> ()
    }
