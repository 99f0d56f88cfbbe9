namespace Regatta.Chaos

open System.Collections.Generic
open Regatta.Chaos.Report

/// What was done to the nodes and links, what the nodes did, and what must not be so. Thread-safe.
type Journal(clock: RunClock, say: string -> unit) =
    let gate = obj ()
    let faults = List<Fault>()
    let events = List<NodeEvent>()
    let findings = List<string>()

    /// The lane is the name under which the report's timeline shows it.
    member _.Fault(kind: string, lane: string, from: float, note: string) =
        lock gate (fun () -> faults.Add { Kind = kind; Target = lane; From = from; Until = clock.Seconds; Note = note })

    member _.Node(place: Place, what: string) =
        lock gate (fun () -> events.Add { Node = Place.name place; At = clock.Seconds; What = what })

    /// Something that must never be, whatever was done to the nodes.
    member _.Finds(what: string) =
        say $"FOUND: {what}"
        lock gate (fun () -> findings.Add what)

    member _.Faults = lock gate (fun () -> List.ofSeq faults)
    member _.Events = lock gate (fun () -> List.ofSeq events)
    member _.Findings = lock gate (fun () -> List.ofSeq findings)
    member _.Say = say
    member _.Clock = clock
