/// Several groups on three and on five nodes, on the real consensus core and real logs, in all the trouble that a seed can make.
module Regatta.Raft.Tests.RandomSiteTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.SiteLife
open Regatta.Raft.Tests.Weather
open Regatta.Raft.Tests.Evidence
open Regatta.Raft.Tests.Watching
open Regatta.Raft.Tests.Workload
open Regatta.Raft.Tests.Historians
open Regatta.Raft.Tests.Troubles

let private groups = [ 7L; 8L; 9L ]

/// Of which whole histories are checked.
let private historic = 10L
let private all = groups @ [ historic ]

/// Impatient: what is lost is given up soon, and tables are flushed and cut whenever somebody looks.
let private options (random: Random) =
    GroupOptions(
        ElectionTimeout = TimeSpan.FromMilliseconds 300.,
        MaxElectionTimeout = TimeSpan.FromMilliseconds 600.,
        HeartbeatInterval = TimeSpan.FromMilliseconds 60.,
        VoteTimeout = TimeSpan.FromMilliseconds 300.,
        AppendTimeout = TimeSpan.FromMilliseconds 400.,
        LeaderTimeout = TimeSpan.FromSeconds 2.,
        BarrierTimeout = TimeSpan.FromSeconds 2.,
        ApplyBytes = (if random.Next 2 = 0 then 1L else 1L <<< 20),
        EntryCommands = random.Next(1, 64),
        FlushBytes = 1L,
        RetainedLogBytes = 0L
    )

/// Asks again while there is no leader: in the end there is one.
let private confirmed (group: ITableGroup) =
    let rec ask () =
        task {
            let! outcome = group.ReadBarrierAsync(CancellationToken.None).AsTask()
            if not outcome.Succeeded then return! ask ()
        }

    ask ()

/// The group on a node, when it has come as far as this. One that gets a snapshot is another one afterwards.
let private atLeast (site: Site) (id: int64) (group: int64) (reached: TableGroup -> bool) =
    let rec look () =
        task {
            match (site.Node id).TryGroup group with
            | Some found when reached found -> return found
            | _ ->
                do! Task.Delay 5
                return! look ()
        }

    look ()

let private closing (site: Site) (evidence: Evidence) (workload: Workload) =
    task {
        for group in all do
            let! leader = site.Leader(group, site.Ids)
            let! leading = atLeast site leader group (fun _ -> true)
            do! confirmed leading
            let revision = leading.Reader.Revision

            for id in site.Ids do
                let! found = atLeast site id group (fun found -> found.Reader.Revision >= revision)
                evidence.Log(id, group, LogPicture.read found.Entries)
                if group <> historic then workload.Compare(id, group, found.Reader)
    }

let private run (nodes: int) (steps: int) (seed: int) =
    task {
        use directory = new TemporaryDirectory()
        let evidence = Evidence()
        let mutable logOf = fun _ _ -> None
        let weather = Weather(seed, Listener(evidence, (fun node group -> logOf node group)))
        let mutable snapshots = fun _ _ -> ()

        let watch =
            { Started = watchGroup evidence
              Applied = (fun node group state -> evidence.Applied(node, group, state))
              NeedsSnapshot = (fun node need -> snapshots node need) }

        use site = new Site(directory.Path, nodes, all, options (Random seed), watch)
        logOf <- fun node group -> site.TryNode node |> Option.bind _.TryGroup(group) |> Option.map _.Entries
        let troubles = Troubles(site, weather, all, seed)
        snapshots <- fun node need -> troubles.NeedsSnapshot(node, need)
        site.Wires.Carrier <- Some weather
        do! site.Start()
        let workload = Workload(site, groups, evidence, seed)
        use stop = new CancellationTokenSource()
        let historians = Historians(site, historic, seed)

        let clients =
            [| for number in 1..6 -> workload.Client(number, stop.Token) :> Task
               for number in 1..4 -> historians.Client(number, stop.Token) :> Task |]

        let mutable calls = 0

        try
            try
                do! troubles.Run steps
                stop.Cancel()
                do! soon (Task.WhenAll clients)
                do! soon (troubles.End())
                do! soon (closing site evidence workload)
                calls <- historians.Check((site.Node site.Ids.Head).Group(historic).Reader, evidence)
            with e ->
                evidence.Violated $"it did not come to an end: {e}"
        finally
            stop.Cancel()
            weather.Heal()

        match evidence.Violations with
        | [] ->
            let seen, told = evidence.Figures, workload.Counts

            printfn
                "%d nodes, seed %d: %d elections, %d messages, %d snapshots; %d entries, %d committed, %d states applied; %d writes acknowledged, %d refused, %d unknown, %d reads, %d moments of leading, a history of %d calls"
                nodes
                seed
                seen.Elections
                weather.Messages
                troubles.Installed
                seen.Entries
                seen.Committed
                seen.Applied
                told.Acknowledged
                told.Refused
                told.Unknown
                told.Reads
                told.Moments
                calls
        | violations ->
            failtestf
                "%d nodes, seed %d (repeat: REGATTA_TEST_SEED=%d), after %s: %s"
                nodes
                seed
                Seed.current
                (String.concat "; " troubles.History)
                (String.concat Environment.NewLine (List.truncate 20 violations))
    }

let tests =
    testSequenced (
        testList
            "Random sites"
            [ for number in 1 .. Scale.pick 4 40 do
                  let nodes = if number % 2 = 1 then 3 else 5

                  taskCase $"run {number}, {nodes} nodes: nothing acknowledged is lost, no two nodes disagree"
                  <| fun () -> run nodes (Scale.pick 30 120) (Seed.current + number) ]
    )
