namespace Regatta.Replication.Tests

open System
open System.Collections.Generic
open System.Threading

/// Time that stands still until it is moved on, and whatever happens in it: one event after the other, on the thread that made it. Events of one moment happen in the
/// order in which they were asked for. What awaits goes on inside the event that it waited for, as long as no thread pool comes in between: that is checked.
[<Sealed>]
type VirtualTime() =
    inherit TimeProvider()
    let start = DateTimeOffset(2026, 11, 23, 0, 0, 0, TimeSpan.Zero)
    let thread = Environment.CurrentManagedThreadId
    let events = PriorityQueue<struct (int64 * (unit -> unit)), struct (int64 * int64)>()
    let mutable now = 0L
    let mutable asked = 0L
    let mutable strayed: string option = None

    /// Since the beginning.
    member _.Now = TimeSpan now

    /// Where something first happened on another thread, which may happen differently the next time.
    member _.Strayed = strayed

    /// Before anything that is to be repeatable.
    member _.Stay() =
        if Environment.CurrentManagedThreadId <> thread then
            if strayed.IsNone then strayed <- Some Environment.StackTrace
            invalidOp "a simulation has one thread, and this is another one"

    member this.After(span: TimeSpan, event: unit -> unit) =
        this.Stay()
        asked <- asked + 1L
        let due = now + max 0L span.Ticks
        events.Enqueue(struct (due, event), struct (due, asked))

    /// All that is due within a span.
    member this.Advance(span: TimeSpan) =
        this.Stay()
        let last = now + span.Ticks
        let isDue () = events.Count > 0 && (let struct (due, _) = events.Peek() in due <= last)

        while isDue () do
            let struct (due, event) = events.Dequeue()
            now <- due
            event ()

        now <- last

    override _.GetTimestamp() = now
    override _.TimestampFrequency = TimeSpan.TicksPerSecond
    override _.GetUtcNow() = start + TimeSpan now

    override this.CreateTimer(callback, state, due, period) =
        let timer = new VirtualTimer(this, (fun () -> callback.Invoke state))
        (timer :> ITimer).Change(due, period) |> ignore
        timer

and [<Sealed>] private VirtualTimer(time: VirtualTime, callback: unit -> unit) =
    // What was asked for before the last change does not happen.
    let mutable change = 0

    let rec ring mine period () =
        if change = mine then
            if period > TimeSpan.Zero then time.After(period, ring mine period)
            callback ()

    interface ITimer with
        member _.Change(due, period) =
            change <- change + 1
            if due >= TimeSpan.Zero then time.After(due, ring change period)
            true

        member _.Dispose() = change <- change + 1

        member _.DisposeAsync() =
            change <- change + 1
            Tasks.ValueTask.CompletedTask
