namespace Regatta.Integration.Tests

open System
open System.Collections.Generic
open System.Diagnostics
open System.Threading
open System.Threading.Tasks
open Grpc.Core

/// How much a workload writes. Each worker has one call in flight and keys of its own.
type WorkloadSize = { Workers: int; KeysPerWorker: int; MaxValueBytes: int }

/// Calls that are under way. `Finished` gives each worker's calls in order, when all workers have stopped: because of `Stop`, or each at its first
/// call that was refused or whose outcome is unknown.
type Running
    (
        workers: Task<Operation list> array,
        acknowledged: int ref,
        threshold: int,
        reached: TaskCompletionSource,
        stop: CancellationTokenSource
    ) =
    let finished =
        task {
            let! all = Task.WhenAll workers
            return List.ofArray all
        }

    /// Completes when as many calls as asked for have been acknowledged, or when all workers have stopped before that.
    member _.Loaded =
        task {
            let! first = Task.WhenAny(reached.Task, finished)
            do! first

            if acknowledged.Value < threshold then
                failwith $"the workers stopped after {acknowledged.Value} acknowledged calls instead of {threshold}"
        }

    /// Every worker ends after the call that it has in flight.
    member _.Stop() = stop.Cancel()

    member _.Finished = finished

/// Writers with values that are never used again. The same seed gives the same choices; how calls interleave is up to the machine.
type Workload(seed: int, size: WorkloadSize) =
    let draws = Array.init size.Workers (fun worker -> Random(seed + worker))
    let sequences = Array.zeroCreate<int64> size.Workers
    let wrongReads = List<string>()

    let key worker index = $"w{worker:d3}/k{index:d3}"

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

    /// The codes that promise that nothing happened (docs/reference/api-errors.md); after any other the write may be there.
    let outcomeOf (error: RpcException) =
        match error.StatusCode with
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

    /// The worker's own writes are what it must read: nobody else writes its keys.
    let readBack (client: Client) worker (change: Change) revision =
        task {
            let key, expected =
                match change with
                | Write pairs -> List.head pairs |> fun (key, value) -> key, Some value
                | Remove key -> key, None

            let! seenAt, found = client.Get(key, draws[worker].Next 2 = 0)

            if seenAt < revision || Option.map _.Value found <> expected then
                lock wrongReads (fun () ->
                    wrongReads.Add $"{key}, written at revision {revision} as %A{expected}, was read at revision {seenAt} as %A{found}")
        }

    let work (client: Client) worker (initial: Set<string>) (count: unit -> unit) (stop: CancellationToken) =
        task {
            let operations = List<Operation>()
            let mutable keys = initial
            let mutable going = true

            while going && not stop.IsCancellationRequested do
                let! operation = perform client (choose worker keys)
                operations.Add operation

                match operation.Outcome with
                | Acknowledged revision ->
                    count ()

                    keys <-
                        match operation.Change with
                        | Write pairs -> List.fold (fun keys (key, _) -> Set.add key keys) keys pairs
                        | Remove key -> Set.remove key keys

                    if draws[worker].Next 8 = 0 then
                        try
                            do! readBack client worker operation.Change revision
                        with :? RpcException ->
                            going <- false
                | Refused _
                | Unknown _ -> going <- false

            return List.ofSeq operations
        }

    /// Reads that showed something else than the worker's last acknowledged write.
    member _.WrongReads = lock wrongReads (fun () -> List.ofSeq wrongReads)

    /// Starts all workers on a table in the given state. `Loaded` completes after `threshold` acknowledged calls.
    member _.Start(client: Client, state: TableState, threshold: int) =
        let acknowledged = ref 0
        let reached = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
        let stop = new CancellationTokenSource()

        let count () = if Interlocked.Increment(&acknowledged.contents) = threshold then reached.TrySetResult() |> ignore

        let keysOf worker =
            state.Keys
            |> Map.keys
            |> Seq.filter (fun key -> key.StartsWith($"w{worker:d3}/", StringComparison.Ordinal))
            |> Set.ofSeq

        let workers =
            Array.init size.Workers (fun worker -> Task.Run<Operation list>(fun () -> work client worker (keysOf worker) count stop.Token))

        Running(workers, acknowledged, threshold, reached, stop)
