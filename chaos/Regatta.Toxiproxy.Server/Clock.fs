/// Points in time on the machine's monotonic clock, in its own ticks.
module internal Regatta.Toxiproxy.Server.Clock

open System
open System.Diagnostics

/// No point in time is later.
let never = Int64.MaxValue

/// About thirty years: more than any wait, and little enough for sums of ticks.
let private longest = 1_000_000_000_000L

let now () = Stopwatch.GetTimestamp()

/// Negative ones count as none.
let ofMilliseconds (count: int64) = Math.Clamp(count, 0L, longest) * (Stopwatch.Frequency / 1_000L)

let ofMicroseconds (count: int64) = Math.Clamp(count, 0L, longest) * Stopwatch.Frequency / 1_000_000L

/// Whole milliseconds from now, rounded up, so that a timer does not go off early; -1 is the timer's word for no end.
let millisecondsUntil due =
    if due = never then
        -1
    else
        let ticksPerMillisecond = Stopwatch.Frequency / 1_000L
        let ticks = max 0L (due - now ())
        int (min (int64 Int32.MaxValue) ((ticks + ticksPerMillisecond - 1L) / ticksPerMillisecond))
