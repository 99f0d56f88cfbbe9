namespace Regatta.Chaos

open System
open System.Collections.Generic
open Regatta.Spec

/// A call as its client saw it, and what else is known of it.
type Recorded =
    {
        Observation: Observation
        /// Of which workload.
        Kind: string
        Client: string
        Place: Place
        /// It belongs to a session: the client's number says to which.
        IsOfSession: bool
        /// What the answer said: it is not staler, in microseconds.
        Staleness: int64 option
        /// What was asked for: not to be staler, in microseconds.
        MostStaleness: int64 option
        /// The greatest revision that is known to be behind a token that was shown, be it another session's.
        LeastRevision: Revision
        /// Why there is no answer.
        Failure: string
    }

/// What happened to the calls of one kind in one second.
type private Slot() =
    member val Answered = 0 with get, set
    member val Refused = 0 with get, set
    member val Unknown = 0 with get, set
    /// Of what was answered, in milliseconds.
    member val Latencies = List<float>()

/// All calls: each for as long as its table is checked, then only counted; of those that were forgotten some are kept for the report. Thread-safe.
type Recorder(clock: RunClock) =
    static let kept = 20_000
    let gate = obj ()
    let mutable calls = List<Recorded>()
    let slots = SortedDictionary<struct (int * string), Slot>()
    let samples = List<Recorded>()
    let draw = Random 1
    let mutable total = 0L

    let count (call: Recorded) =
        let key = struct (int (call.Observation.Ended / 1_000_000L), call.Kind)

        let slot =
            match slots.TryGetValue key with
            | true, known -> known
            | _ ->
                let fresh = Slot()
                slots[key] <- fresh
                fresh

        match call.Observation.Outcome with
        | Outcome.Answered _ ->
            slot.Answered <- slot.Answered + 1
            slot.Latencies.Add(float (call.Observation.Ended - call.Observation.Began) / 1000.0)
        | Outcome.Refused -> slot.Refused <- slot.Refused + 1
        | Outcome.Unknown -> slot.Unknown <- slot.Unknown + 1

    /// Every call has as much of a chance to be kept.
    let sample call =
        if samples.Count < kept then
            samples.Add call
        else
            let at = draw.NextInt64 total
            if at < int64 kept then samples[int at] <- call

    let percentile (sorted: float array) share =
        if sorted.Length = 0 then 0.0 else sorted[min (sorted.Length - 1) (int (float sorted.Length * share))]

    member _.Clock = clock

    /// Runs for as long as clients make calls.
    member val Working = System.Diagnostics.Stopwatch()

    member _.Add(call: Recorded) =
        lock gate (fun () ->
            total <- total + 1L
            calls.Add call
            count call
            sample call)

    /// Calls so far that were answered.
    member _.Answered = lock gate (fun () -> slots.Values |> Seq.sumBy (fun slot -> int64 slot.Answered))

    /// The calls since the last time, which are forgotten.
    member _.Take() =
        lock gate (fun () ->
            let taken = List.ofSeq calls
            calls <- List()
            taken)

    member _.Samples = lock gate (fun () -> List.ofSeq samples)

    member _.Rates: Regatta.Chaos.Report.Second list =
        lock gate (fun () ->
            [ for KeyValue(struct (second, kind), slot) in slots do
                  let sorted = slot.Latencies |> Seq.sort |> Array.ofSeq

                  { At = second
                    Kind = kind
                    Answered = slot.Answered
                    Refused = slot.Refused
                    Unknown = slot.Unknown
                    P50 = percentile sorted 0.5
                    P99 = percentile sorted 0.99
                    Max = percentile sorted 1.0 } ])
