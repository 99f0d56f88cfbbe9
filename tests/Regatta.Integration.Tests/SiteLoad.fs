namespace Regatta.Integration.Tests

open System
open System.Threading.Tasks
open Regatta.Testing
open Regatta.Testing.Nodes

/// Writers and linearizable readers on all nodes of a site, round by round. A round ends when the site is whole again: then every node must have
/// the same history, and it must be one that all the calls since the last round allow.
type SiteLoad(site: Site, size: WorkloadSize, readers: int) =
    let workload = Workload(Seed.current, size)
    let access = site.Access size.Workers
    let totals = Totals()
    let mutable state = TableState.empty
    let mutable opened = []
    let mutable under: (Running * Task<Read list>) option = None
    let mutable aimed: Task<Read option> list = []
    let mutable rounds = 0
    let mutable reads = 0
    let mutable dumps = 0

    let running () =
        match under with
        | Some(running, _) -> running
        | None -> failwith "nothing is under way"

    /// The revision of the last thing that was acknowledged must not be waited for in vain: this bounds a test, the figure is reported.
    let limit = TimeSpan.FromSeconds 120.0

    member _.State = state

    /// Starts the calls of a round; completes when some were acknowledged.
    member _.Begin(threshold: int) =
        task {
            rounds <- rounds + 1
            let running = workload.Start(access, state, threshold)
            let used = [| for worker in 0 .. size.Workers - 1 -> $"w{worker:d3}/k000" |]
            let keys = Seq.append used (Map.keys state.Keys) |> Seq.distinct |> Array.ofSeq
            let reading = Readers.start (Seed.current + 1000 * rounds) readers site.Clients keys running
            under <- Some(running, reading)
            do! running.Loaded
        }

    /// Until through each of these nodes a write is acknowledged that begins after now; how long that takes. A failure after the time-out of a test.
    member _.GoesOn(nodes: int list, since: string) : Task<TimeSpan> =
        task {
            let going = nodes |> List.map (fun index -> index, running().Acknowledged.GoOn site.Clients[index])

            try
                let! gaps = (going |> List.map snd |> Task.WhenAll).WaitAsync limit
                return Array.max gaps
            with :? TimeoutException ->
                let silent =
                    [ for index, seen in going do
                          if not seen.IsCompleted then index + 1 ]

                let! said = Site.All |> List.map site.Status |> Task.WhenAll
                let state index = $"{index + 1} says %O{said[index]}"
                let states = Site.All |> List.map state |> String.concat "; "
                return site.Fail $"through nodes %A{silent} no write was acknowledged within {limit} after {since}; {states}"
        }

    /// Begins reads on one node now, which the round's end waits for.
    member _.ReadOn(index: int, count: int) =
        let key reader = $"w{reader % size.Workers:d3}/k000"
        aimed <- List.init count (fun reader -> Readers.once site.Clients index (key reader) (running ())) @ aimed

    /// So many more writes.
    member _.More(count: int) =
        let acknowledged = running().Acknowledged
        acknowledged.Reach(acknowledged.Count + count)

    /// Ends the round, on a site all of whose nodes run: everything must have been so as was acknowledged and read.
    member _.Settle(what: string) =
        task {
            match under with
            | None -> ()
            | Some(running, reading) ->
                running.Stop()
                let! calls = running.Finished
                let! seen = reading
                let! answers = Task.WhenAll aimed
                let seen = seen @ (answers |> Seq.choose id |> List.ofSeq)
                aimed <- []
                under <- None
                let! _ = site.Agree()
                let! found = site.Clients[0].Dump()

                if not workload.WrongReads.IsEmpty then
                    site.Fail(String.concat Environment.NewLine ($"%s{what}: wrong reads of own writes" :: workload.WrongReads))

                match History.checkAfter opened state calls found with
                | Error violations ->
                    site.Fail
                        $"%s{what}: {violations.Length} violations between revision {state.Revision} and {found.Revision}, of them:{Environment.NewLine}{Rounds.show violations}"
                | Ok round ->
                    match Readers.check state calls round seen with
                    | [] -> ()
                    | wrong ->
                        site.Fail
                            $"%s{what}: {wrong.Length} of {seen.Length} linearizable reads are wrong, of them: %A{List.truncate 10 wrong}"

                    totals.Add round
                    reads <- reads + seen.Length
                    state <- round.State
                    opened <- round.Open

                // An open call may still happen in between; then the revision says so, and the next round judges it.
                for index in [ 1; 2 ] do
                    let! other = site.Clients[index].Dump()

                    if other.Revision = found.Revision then
                        dumps <- dumps + 1

                        if other <> found then
                            site.Fail $"%s{what}: nodes 1 and {index + 1} hold different data at revision {found.Revision}"
        }

    member _.Text =
        $"{totals.Text}; {reads} linearizable reads, 0 stale or wrong; {totals.Rounds} times all nodes had the same revision and chain hash, {dumps} dumps equal to node 1's"
