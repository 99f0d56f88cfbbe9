/// Clients of a site that write and read while it is in trouble, and hold what they are told against each other.
module Regatta.Raft.Tests.Workload

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.Diagnostics
open System.Threading
open System.Threading.Tasks
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.SiteLife
open Regatta.Raft.Tests.Evidence

/// What a client was told of one write. Each write has a key of its own.
type private Told =
    | Revision of int64
    | Nothing
    | Unknown

type Counts = { Acknowledged: int; Refused: int; Unknown: int; Reads: int; Moments: int }

type Workload(site: Site, groups: int64 list, evidence: Evidence, seed: int) =
    let writes = ConcurrentDictionary<struct (int64 * string), Told>()
    let floors = dict [ for group in groups -> group, ref 0L ]
    let raised = dict [ for group in groups -> group, List<struct (int64 * int64)>() ]
    let mutable reads = 0
    let mutable moments = 0

    /// The newest revision that anybody has been shown.
    let floor group = Volatile.Read &floors[group].contents

    let raiseFloor group (revision: int64) =
        let cell = floors[group]

        lock cell (fun () ->
            if revision > cell.Value then
                cell.Value <- revision
                raised[group].Add(struct (Stopwatch.GetTimestamp(), revision)))

    /// The newest revision that anybody had been shown before a moment.
    let floorBefore group (moment: int64) =
        lock floors[group] (fun () ->
            let found = raised[group].FindLastIndex(fun (struct (at, _)) -> at < moment)

            if found < 0 then
                0L
            else
                let struct (_, revision) = raised[group][found]
                revision)

    let told (outcome: ProposalOutcome) =
        match outcome.Result, outcome.Failure with
        | null, GroupFailure.Unknown -> Unknown
        | null, _ -> Nothing
        | result, _ -> Revision result.Revision

    let write (group: ITableGroup) (key: string) (token: CancellationToken) =
        task {
            let before = floor group.GroupId
            writes[struct (group.GroupId, key)] <- Unknown
            let! outcome = group.ProposeAsync(PutCommand(bytes key, bytes key, false), token).AsTask()
            let answer = told outcome
            writes[struct (group.GroupId, key)] <- answer

            match answer with
            | Revision revision ->
                if revision <= before then
                    evidence.Violated $"group {group.GroupId}: {key} got revision {revision}, and {before} had been shown before it began"

                raiseFloor group.GroupId revision
            | _ -> ()
        }

    let look (group: ITableGroup) (token: CancellationToken) =
        task {
            let before = floor group.GroupId
            let! outcome = group.ReadBarrierAsync(token).AsTask()

            if outcome.Succeeded then
                let revision = group.Reader.Revision

                if revision < before then
                    evidence.Violated
                        $"group {group.GroupId}: a linearizable read saw revision {revision}, and {before} had been shown before it began"

                raiseFloor group.GroupId revision
                Interlocked.Increment &reads |> ignore
        }

    /// A node that says when it certainly led has everything that was committed before.
    let ask (group: ITableGroup) (token: CancellationToken) =
        task {
            try
                let! led = group.LedAtAsync(token).AsTask()

                if led.HasValue then
                    let revision = group.Reader.Revision
                    let least = floorBefore group.GroupId led.Value

                    if revision < least then
                        evidence.Violated
                            $"group {group.GroupId}: a leader at revision {revision} says that it has everything from before a moment at which {least} had been shown"

                    Interlocked.Increment &moments |> ignore
            with
            | :? OperationCanceledException
            | :? ObjectDisposedException -> ()
        }

    let request (random: Random) (group: ITableGroup) (key: string) =
        task {
            use limit = new CancellationTokenSource(random.Next(100, 3000))

            match random.Next 9 with
            | 0
            | 1 -> do! look group limit.Token
            | 2
            | 3 -> do! ask group limit.Token
            | _ -> do! write group key limit.Token
        }

    /// One client: a request after the other, to any node that is up.
    member _.Client(number: int, stop: CancellationToken) =
        let random = Random(seed * 131 + number)

        task {
            let mutable count = 0

            while not stop.IsCancellationRequested do
                let node, group = site.Ids[random.Next site.Ids.Length], groups[random.Next groups.Length]
                count <- count + 1

                match site.TryNode node |> Option.bind _.TryGroup(group) with
                | Some found -> do! request random found $"key-{number}-{count}"
                | None -> ()

                do! Task.Delay(random.Next 12)
        }

    /// The table as a node shows it, against what the clients were told. The node has everything applied; of what is under way only writes
    /// of an unknown fate are left.
    member _.Compare(node: int64, group: int64, reader: ITableReader) =
        let expect holds what = if not holds then evidence.Violated $"group {group} on node {node}: {what}"
        use view = reader.OpenView()
        let seen = Dictionary<int64, string>()
        let mutable possible = 0L

        for pair in writes do
            let struct (of', key) = pair.Key

            if of' = group then
                let found, header = view.TryGetHeader (bytes key).Span

                match pair.Value with
                | Revision revision ->
                    expect found $"the acknowledged write {key} is lost"

                    if found then expect (header.ModRevision = revision) $"{key} has revision {header.ModRevision}, not {revision}"
                | Nothing -> expect (not found) $"{key} was refused as if nothing had happened, and it is there"
                | Unknown -> ()

                if pair.Value <> Nothing then possible <- possible + 1L

                if found then expect (seen.TryAdd(header.ModRevision, key)) $"two writes have revision {header.ModRevision}"

        expect (view.Revision <= possible) $"revision {view.Revision} after {possible} writes at most"
        expect (int64 seen.Count = view.Revision) $"{seen.Count} writes up to revision {view.Revision}"

    member _.Counts =
        let count told = writes.Values |> Seq.filter told |> Seq.length

        { Acknowledged = count _.IsRevision
          Refused = count _.IsNothing
          Unknown = count _.IsUnknown
          Reads = Volatile.Read &reads
          Moments = Volatile.Read &moments }
