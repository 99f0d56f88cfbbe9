namespace Regatta.Chaos

open System.Diagnostics

/// The time since a run began, by the machine's monotonic clock, which all clients share. Thread-safe.
type RunClock() =
    let since = Stopwatch.StartNew()

    /// In microseconds.
    member _.Now = since.Elapsed.Ticks / 10L

    member _.Seconds = since.Elapsed.TotalSeconds
