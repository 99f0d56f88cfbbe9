namespace Regatta.Chaos

open System.Collections.Generic
open Regatta.Chaos.Report

/// What came of a fault, in a few words or none.
type Came =
    | Inflicted of note: string
    /// Nothing was done that its name says.
    | NotInflicted of why: string

/// What was done to the nodes and links, what the nodes did, and what must not be so. Thread-safe.
type Journal(clock: RunClock, say: string -> unit) =
    let gate = obj ()
    let faults = List<Fault>()
    let events = List<NodeEvent>()
    let inflicted = List<string>()
    let findings = List<string>()
    let troubles = List<string>()

    /// The lane is the name under which the report's timeline shows it.
    member _.Fault(kind: string, lane: string, from: float, target: string, came: Came) =
        lock gate (fun () ->
            let note =
                match came with
                | Inflicted "" -> target
                | Inflicted note -> $"{target}: {note}"
                | NotInflicted why -> $"{target}: not inflicted: {why}"

            match came with
            | Inflicted _ -> inflicted.Add kind
            | NotInflicted _ -> ()

            faults.Add { Kind = kind; Target = lane; From = from; Until = clock.Seconds; Note = note }
            say $"{kind} is over: {note}")

    member _.Node(place: Place, what: string) =
        lock gate (fun () -> events.Add { Node = Place.name place; At = clock.Seconds; What = what })

    /// Something that must never be, whatever was done to the nodes.
    member _.Finds(what: string) =
        say $"FOUND: {what}"
        lock gate (fun () -> findings.Add what)

    /// A fault could not be inflicted or healed, or the suite failed in another way: then nothing is proven.
    member _.Fails(what: string) =
        say $"FAILED: {what}"
        lock gate (fun () -> troubles.Add what)

    member _.Faults = lock gate (fun () -> List.ofSeq faults)
    /// How often faults of a kind did what their name says.
    member _.Times(kind: string) = lock gate (fun () -> inflicted |> Seq.filter ((=) kind) |> Seq.length)
    member _.Inflicted = lock gate (fun () -> inflicted.Count)
    member _.Events = lock gate (fun () -> List.ofSeq events)
    member _.Findings = lock gate (fun () -> List.ofSeq findings)
    member _.Troubles = lock gate (fun () -> List.ofSeq troubles)
    member _.Say = say
    member _.Clock = clock
