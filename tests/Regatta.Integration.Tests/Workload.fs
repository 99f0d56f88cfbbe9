namespace Regatta.Integration.Tests

open System
open System.Collections.Generic
open System.Diagnostics
open System.Threading
open System.Threading.Tasks
open Grpc.Core
open Regatta.Testing.Nodes

/// How much a workload writes. Each worker has one call in flight and keys of its own.
type WorkloadSize = { Workers: int; KeysPerWorker: int; MaxValueBytes: int }

/// Through which node a worker calls, and what it does when a call was refused or its outcome is unknown.
[<NoEquality; NoComparison>]
type Access =
    {
        /// The client that a worker uses now.
        Client: int -> Client
        /// It moves on and leaves the keys of a call without an outcome alone; else it stops.
        GoesOn: bool
        /// Completes when the worker can go on, or when it is told to stop.
        MoveOn: int -> CancellationToken -> Task
    }

module Access =
    /// One node; a worker stops at the first call that was not acknowledged.
    let only client =
        { Client = fun _ -> client
          GoesOn = false
          MoveOn = fun _ _ -> Task.CompletedTask }

/// What was acknowledged while a workload runs. Thread-safe.
type Acknowledgements(revision: int64) =
    let gate = obj ()
    let mutable count = 0
    let mutable highest = revision
    let mutable waiting: (int * TaskCompletionSource) list = []
    let mutable watching: (Client * int64 * TaskCompletionSource<TimeSpan>) list = []

    member _.Count = lock gate (fun () -> count)

    /// The highest revision of a call that has ended, or of the state at the start.
    member _.Highest = lock gate (fun () -> highest)

    member _.Add(client: Client, begun: int64, revision: int64) =
        lock gate (fun () ->
            count <- count + 1
            highest <- max highest revision
            let reached, left = waiting |> List.partition (fun (threshold, _) -> count >= threshold)
            waiting <- left
            reached |> List.iter (fun (_, reached) -> reached.SetResult())
            let seen, left = watching |> List.partition (fun (through, since, _) -> through = client && begun >= since)
            watching <- left
            seen |> List.iter (fun (_, since, seen) -> seen.SetResult(Stopwatch.GetElapsedTime since)))

    /// Completes when so many calls have been acknowledged.
    member _.Reach(threshold: int) : Task =
        lock gate (fun () ->
            if count >= threshold then
                Task.CompletedTask
            else
                let reached = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
                waiting <- (threshold, reached) :: waiting
                reached.Task)

    /// How long it takes from now on until a call through this client is acknowledged that begins after now.
    member _.GoOn(client: Client) : Task<TimeSpan> =
        lock gate (fun () ->
            let seen = TaskCompletionSource<TimeSpan>(TaskCreationOptions.RunContinuationsAsynchronously)
            watching <- (client, Stopwatch.GetTimestamp(), seen) :: watching
            seen.Task)

/// Calls that are under way. `Finished` gives each worker's calls in order, when all workers have stopped: because of `Stop`, or, where the access
/// does not go on, each at its first call that was refused or whose outcome is unknown.
type Running(workers: Task<Operation list> array, acknowledged: Acknowledgements, threshold: int, stop: CancellationTokenSource) =
    let finished =
        task {
            let! all = Task.WhenAll workers
            return List.ofArray all
        }

    member _.Acknowledged = acknowledged

    /// Completes when as many calls as asked for have been acknowledged, or when all workers have stopped before that.
    member _.Loaded =
        task {
            let! first = Task.WhenAny(acknowledged.Reach threshold, finished)
            do! first

            if acknowledged.Count < threshold then
                failwith $"the workers stopped after {acknowledged.Count} acknowledged calls instead of {threshold}"
        }

    /// Cancelled by `Stop`.
    member _.Stopping = stop.Token

    /// Every worker ends after the call that it has in flight.
    member _.Stop() = stop.Cancel()

    member _.Finished = finished

/// Writers with values that are never used again. The same seed gives the same choices; how calls interleave is up to the machine.
type Workload(seed: int, size: WorkloadSize) =
    let draws = Array.init size.Workers (fun worker -> Random(seed + worker))
    let sequences = Array.zeroCreate<int64> size.Workers
    let wrongReads = List<string>()

    // The numbers of the keys that a worker uses now, and the next one that was never used.
    let slots = Array.init size.Workers (fun _ -> Array.init size.KeysPerWorker id)
    let unused = Array.create size.Workers size.KeysPerWorker

    let key worker slot = $"w{worker:d3}/k{slots[worker][slot]:d3}"

    /// Whatever becomes of a call without an outcome, nobody writes its keys again.
    let abandon worker change =
        let abandoned =
            match change with
            | Write pairs -> pairs |> List.map fst
            | Remove key -> [ key ]

        for slot in 0 .. size.KeysPerWorker - 1 do
            if List.contains (key worker slot) abandoned then
                slots[worker][slot] <- unused[worker]
                unused[worker] <- unused[worker] + 1

    let freshValue worker =
        sequences[worker] <- sequences[worker] + 1L
        let text = $"{worker}/{sequences[worker]}/"
        // Letters that differ from one value to the next, so that a value made of two halves is seen.
        text.PadRight(text.Length + draws[worker].Next size.MaxValueBytes, char (int 'a' + int (sequences[worker] % 26L)))

    let choose worker (keys: Set<string>) =
        let draw = draws[worker]
        let first = draw.Next size.KeysPerWorker

        match draw.Next 10 with
        | 0
        | 1 -> Write [ for offset in 0..2 -> key worker ((first + offset) % size.KeysPerWorker), freshValue worker ]
        | 2 when keys.Contains(key worker first) -> Remove(key worker first)
        | _ -> Write [ key worker first, freshValue worker ]

    let send (client: Client) change =
        match change with
        | Write [ key, value ] -> client.Put(key, value)
        | Write pairs -> client.PutAll pairs
        | Remove key -> client.Delete key

    /// The codes that promise that nothing happened (docs/reference/api-errors.md); after any other the write may be there. A client that could
    /// not reach its node says UNAVAILABLE as well, and that promises nothing.
    let outcomeOf (error: RpcException) =
        match error.StatusCode with
        | StatusCode.Unavailable when isNull error.Status.DebugException -> Refused error.Status.Detail
        | StatusCode.ResourceExhausted
        | StatusCode.InvalidArgument
        | StatusCode.NotFound -> Refused error.Status.Detail
        | code -> Unknown $"{code}: {error.Status.Detail}"

    let perform client change =
        task {
            let begun = Stopwatch.GetTimestamp()

            let! outcome =
                task {
                    try
                        let! revision = send client change
                        return Acknowledged revision
                    with :? RpcException as error ->
                        return outcomeOf error
                }

            return { Change = change; Begun = begun; Ended = Stopwatch.GetTimestamp(); Outcome = outcome }
        }

    /// The worker's own writes are what it must read: nobody else writes its keys. A read that asks for nothing special shows them on the node that
    /// took them, as long as that has not been away.
    let readBack (access: Access) worker (change: Change) revision =
        task {
            let key, expected =
                match change with
                | Write pairs -> List.head pairs |> fun (key, value) -> key, Some value
                | Remove key -> key, None

            let linearizable = access.GoesOn || draws[worker].Next 2 = 0
            let! seenAt, found = (access.Client worker).Get(key, linearizable)

            if seenAt < revision || Option.map _.Value found <> expected then
                lock wrongReads (fun () ->
                    wrongReads.Add $"{key}, written at revision {revision} as %A{expected}, was read at revision {seenAt} as %A{found}")
        }

    let work (access: Access) worker (initial: Set<string>) (acknowledged: Acknowledgements) (stop: CancellationToken) =
        task {
            let operations = List<Operation>()
            let mutable keys = initial
            let mutable going = true

            let failed () =
                task {
                    going <- access.GoesOn
                    do! access.MoveOn worker stop
                }

            while going && not stop.IsCancellationRequested do
                let client = access.Client worker
                let! operation = perform client (choose worker keys)
                operations.Add operation

                match operation.Outcome with
                | Acknowledged revision ->
                    acknowledged.Add(client, operation.Begun, revision)

                    keys <-
                        match operation.Change with
                        | Write pairs -> List.fold (fun keys (key, _) -> Set.add key keys) keys pairs
                        | Remove key -> Set.remove key keys

                    if draws[worker].Next 8 = 0 then
                        try
                            do! readBack access worker operation.Change revision
                        with :? RpcException ->
                            do! failed ()
                | Refused _ -> do! failed ()
                | Unknown _ ->
                    if access.GoesOn then abandon worker operation.Change

                    do! failed ()

            return List.ofSeq operations
        }

    /// Reads that showed something else than the worker's last acknowledged write.
    member _.WrongReads = lock wrongReads (fun () -> List.ofSeq wrongReads)

    /// Starts all workers on a table in the given state. `Loaded` completes after `threshold` acknowledged calls.
    member _.Start(access: Access, state: TableState, threshold: int) =
        let acknowledged = Acknowledgements state.Revision
        let stop = new CancellationTokenSource()

        let keysOf worker =
            state.Keys
            |> Map.keys
            |> Seq.filter (fun key -> key.StartsWith($"w{worker:d3}/", StringComparison.Ordinal))
            |> Set.ofSeq

        let workers =
            Array.init size.Workers (fun worker ->
                Task.Run<Operation list>(fun () -> work access worker (keysOf worker) acknowledged stop.Token))

        Running(workers, acknowledged, threshold, stop)

    member workload.Start(client: Client, state: TableState, threshold: int) = workload.Start(Access.only client, state, threshold)
