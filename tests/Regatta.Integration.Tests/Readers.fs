namespace Regatta.Integration.Tests

open System
open System.Collections.Generic
open System.Threading.Tasks
open Grpc.Core
open Regatta.Testing.Nodes

/// A linearizable read. `Floor` is the highest revision that was acknowledged when it began.
type Read = { Node: int; Key: string; Floor: int64; Revision: int64; Found: Stored option }

/// Why a read is wrong.
type WrongRead =
    /// It began when a write was acknowledged whose revision it does not show.
    | Stale of Read
    | FromTheFuture of Read
    /// At its revision the key was something else.
    | Otherwise of Read * expected: string option

/// Reads of random keys of a workload on random nodes, one in flight per reader.
module Readers =
    /// A node that does not answer is asked again after this.
    let pause = TimeSpan.FromMilliseconds 20.0

    /// None when the node refused it, or did not answer in time.
    let once (clients: Client array) (node: int) (key: string) (running: Running) =
        task {
            let floor = running.Acknowledged.Highest

            try
                let! revision, found = clients[node].Get(key, true)

                return Some { Node = node + 1; Key = key; Floor = floor; Revision = revision; Found = found }
            with :? RpcException ->
                return None
        }

    /// Each reader's reads, once `running` is told to stop. A reader stays with a node: with random ones all of them would soon wait for one that stands still.
    let start (seed: int) count (clients: Client array) (keys: string array) (running: Running) =
        let read reader =
            task {
                let draw = Random(seed + reader)
                let reads = List<Read>()

                while not running.Stopping.IsCancellationRequested do
                    match! once clients (reader % clients.Length) keys[draw.Next keys.Length] running with
                    | Some read -> reads.Add read
                    | None -> do! Task.Delay(pause, TimeProvider.System)

                return List.ofSeq reads
            }

        let readers = Array.init count (fun reader -> Task.Run<Read list>(fun () -> read reader))

        task {
            let! all = Task.WhenAll readers
            return List.concat all
        }

    /// What each key was at which revisions; a key is left out when one of its removals has no known revision.
    let private timelines (before: TableState) (workers: Operation list list) (round: Round) =
        let values change =
            match change with
            | Write pairs -> pairs |> List.map (fun (key, value) -> key, Some value)
            | Remove key -> [ key, None ]

        let acknowledged =
            List.concat workers
            |> List.choose (fun operation ->
                match operation.Outcome with
                | Acknowledged revision -> Some(revision, operation.Change)
                | Refused _
                | Unknown _ -> None)

        let happened = round.Happened |> List.choose (fun (change, revision) -> Option.map (fun known -> known, change) revision)

        let untold =
            round.Happened
            |> List.filter (fun (_, revision) -> revision.IsNone)
            |> List.collect (fst >> values >> List.map fst)
            |> Set.ofList

        let timelines = Dictionary<string, SortedList<int64, string option>>()

        let add key revision value =
            match timelines.TryGetValue key with
            | true, timeline -> timeline[revision] <- value
            | false, _ -> timelines[key] <- SortedList(dict [ revision, value ])

        before.Keys |> Map.iter (fun key stored -> add key stored.Modified (Some stored.Value))

        for revision, change in acknowledged @ happened do
            for key, value in values change do
                add key revision value

        timelines, untold

    let private valueAt (timelines: Dictionary<string, SortedList<int64, string option>>) key revision =
        match timelines.TryGetValue key with
        | false, _ -> None
        | true, timeline -> timeline |> Seq.takeWhile (fun entry -> entry.Key <= revision) |> Seq.tryLast |> Option.bind _.Value

    /// What is wrong with the reads of a round whose calls are in order.
    let check (before: TableState) workers (round: Round) (reads: Read list) =
        let timelines, untold = timelines before workers round

        reads
        |> List.choose (fun read ->
            let expected = valueAt timelines read.Key read.Revision

            if read.Revision < read.Floor then Some(Stale read)
            elif read.Revision > round.State.Revision then Some(FromTheFuture read)
            elif untold.Contains read.Key || Option.map _.Value read.Found = expected then None
            else Some(Otherwise(read, expected)))
