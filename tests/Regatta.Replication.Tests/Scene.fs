namespace Regatta.Replication.Tests

open System
open System.Threading
open System.Threading.Tasks

/// What the parts of one simulation share: time, chance, and the record of what happened. All of it follows from the seed.
[<Sealed>]
type Scene(seed: int, isTraced: bool) =
    let time = VirtualTime()
    let random = Random seed
    // Some runs get far in spite of everything, others are made of trouble.
    let severity = [| 0.1; 0.3; 1.0 |][random.Next 3]
    let trace = ResizeArray<string>()
    let faults = ResizeArray<string>()

    member _.Seed = seed
    member _.Time = time
    member _.Random = random

    /// Faults happen; else it is calm, and everything is quick.
    member val IsStormy = true with get, set

    /// True so often of a hundred times in the worst weather.
    member scene.Happens(percent: int) = scene.IsStormy && random.NextDouble() * 100. < float percent * severity

    /// A while of up to so many milliseconds in the worst weather.
    member scene.While(longest: int) =
        let longest = if scene.IsStormy then float longest * severity else min (float longest) 5.
        TimeSpan.FromTicks(random.NextInt64(1L + int64 (longest * float TimeSpan.TicksPerMillisecond)))

    member _.Choose(items: 'a array) = items[random.Next items.Length]

    member _.After(span, event) = time.After(span, event)

    /// Over after a while, or when it is cancelled: Task.Delay, but for going on on a thread of the pool then.
    member _.Wait(span: TimeSpan, token: CancellationToken) =
        let over = TaskCompletionSource()
        time.After(span, (fun () -> over.TrySetResult() |> ignore))
        Scene.Until(over, token)

    /// Waits for something, or until it is cancelled.
    static member Until(source: TaskCompletionSource, token: CancellationToken) : Task =
        token.UnsafeRegister((fun _ -> source.TrySetCanceled token |> ignore), null) |> ignore
        source.Task

    member _.Tell(what: unit -> string) =
        time.Stay()
        if isTraced then trace.Add $"%10.1f{time.Now.TotalMilliseconds} ms  {what ()}"

    /// Something is wrong with the code that is simulated.
    member scene.Blame(what: string) =
        faults.Add $"after {time.Now.TotalMilliseconds} ms: {what}"
        scene.Tell(fun () -> "WRONG: " + what)

    member _.Faults = List.ofSeq faults
    member _.Trace = List.ofSeq trace

/// Who waits until something has come so far.
[<Sealed>]
type Waiters() =
    let waiting = ResizeArray<struct (int64 * TaskCompletionSource)>()

    let take (isDone: int64 -> bool) (tell: TaskCompletionSource -> unit) =
        for struct (awaited, waiter) as entry in waiting.ToArray() do
            if isDone awaited then
                waiting.Remove entry |> ignore
                tell waiter

    member _.Wait(awaited: int64, token) : Task =
        let waiter = TaskCompletionSource()
        waiting.Add(struct (awaited, waiter))
        Scene.Until(waiter, token)

    member _.Arrive(reached: int64) = take (fun awaited -> awaited <= reached) (fun waiter -> waiter.TrySetResult() |> ignore)

    member _.Fail(reason: exn) = take (fun _ -> true) (fun waiter -> waiter.TrySetException reason |> ignore)

    /// Nobody is there any more who waits.
    member _.Clear() = waiting.Clear()
