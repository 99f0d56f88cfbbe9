namespace Regatta.Chaos

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Spec

/// What a run goes on with from table to table.
[<NoComparison; NoEquality>]
type Plan =
    {
        Fleet: Fleet
        Journal: Journal
        Recorder: Recorder
        Doors: Doors
        /// One for each conductor; some share one.
        Decks: Deck list
        Workloads: Workload list
        Seed: int
    }

/// What the checkers have looked at, and found, in one chapter.
type Checked =
    {
        Calls: int
        Revisions: int64
        Events: int
        /// Events that watchers did not have to get: see Checks.missed.
        Missed: int
        Bounds: int
        Findings: Finding list
    }

/// A chapter of a run is the life of one table: it is created while nothing is wrong, then everything goes wrong at once, then all faults are healed, all nodes must come to agree, and all that clients have seen is checked.
module Chapter =
    let private create (plan: Plan) (direct: Agreement.Direct) table =
        task {
            let! _ =
                (direct.To { Site = 0; Node = 0 })
                    .Tables.CreateAsync(CreateTableRequest(Name = table), deadline = Nullable(DateTime.UtcNow.AddSeconds 60.0))
                    .ResponseAsync

            for place in plan.Fleet.Shape.All do
                do! (direct.To place).Await 0L
        }

    let private clients (plan: Plan) table (stop: CancellationToken) =
        let numbered =
            plan.Workloads
            |> List.collect (fun workload -> List.init workload.Clients (fun number -> workload, number))
            |> List.indexed

        let board = ConcurrentDictionary()

        [ for at, (workload, number) in numbered do
              let draw = Random(plan.Seed + at)

              let client =
                  { Caller = Caller(at, plan.Doors, table, plan.Recorder, plan.Journal)
                    Draw = draw
                    Shape = plan.Fleet.Shape
                    Stop = stop
                    Board = board
                    Place = { Site = 0; Node = draw.Next plan.Fleet.Shape.NodesPerSite }
                    Made = 0 }

              Task.Run(fun () ->
                  task {
                      try
                          do! workload.Run number client
                      with e ->
                          plan.Journal.Finds $"a client of workload {workload.Name} got what it cannot make sense of: {e}"
                  }
                  :> Task) ]

    /// Everybody's revision, once a second.
    let private sample (plan: Plan) (direct: Agreement.Direct) (lags: List<Regatta.Chaos.Report.Lag>) (stop: CancellationToken) : Task =
        task {
            while not stop.IsCancellationRequested do
                let! all =
                    plan.Fleet.Shape.All
                    |> List.map (fun place ->
                        task {
                            let! status = direct.Status place
                            return place, status
                        })
                    |> Task.WhenAll

                let revisionOf (status: TableStatus) = int64 status.Revision
                let head = all |> Seq.choose snd |> Seq.map revisionOf |> Seq.fold max 0L

                for place, status in all do
                    match status with
                    | Some status ->
                        (plan.Fleet.Host place).Serves()

                        lags.Add
                            { At = plan.Recorder.Clock.Seconds
                              Node = Place.name place
                              Revisions = head - revisionOf status
                              Milliseconds = status.Following |> Option.ofObj |> Option.map (fun following -> float following.BehindMs) }
                    | None -> ()

                try
                    do! Task.Delay(TimeSpan.FromSeconds 1.0, TimeProvider.System, stop)
                with :? OperationCanceledException ->
                    ()
        }

    let private within (plan: Plan) (isDone: unit -> bool) =
        task {
            let limit = plan.Recorder.Clock.Seconds + (if plan.Journal.Findings.IsEmpty then 120.0 else 15.0)

            while not (isDone ()) && plan.Recorder.Clock.Seconds < limit do
                do! Task.Delay(TimeSpan.FromMilliseconds 50.0, TimeProvider.System)
        }

    let private catchUp (plan: Plan) (direct: Agreement.Direct) (historian: Historian) (revision: Revision) =
        task {
            do! within plan (fun () -> historian.Reached >= revision)

            if historian.Reached < revision then
                let what = $"the leader site's changelogs told of revisions up to {historian.Reached} only, of {revision}"
                let! all = plan.Fleet.Shape.Of 0 |> List.map direct.Status |> Task.WhenAll

                let isKept = all |> Seq.choose id |> Seq.exists (fun status -> int64 status.OldestRevision <= historian.Reached + 1L)

                // Whoever reads too late cannot blame the nodes.
                if isKept then
                    plan.Journal.Finds what
                else
                    plan.Journal.Fails $"{what}: the next ones were not read before they were gone"
        }

    /// Until all have the last revision that has events.
    let private watchToTheEnd (plan: Plan) (watchers: Watcher list) (records: (Revision * Effect list) list) =
        task {
            let last = records |> List.tryFindBack (snd >> List.isEmpty >> not) |> Option.map fst |> Option.defaultValue 0L

            do! within plan (fun () -> watchers |> List.forall (fun watcher -> watcher.Reached >= last))

            for watcher in watchers do
                if watcher.Reached < last then
                    plan.Journal.Finds
                        $"{watcher.Name} had events up to revision {watcher.Reached} only, of {last}, after two minutes without faults"
        }

    let private check (evidence: Evidence) =
        { Calls = evidence.Calls.Length
          Revisions = evidence.Last.Revision
          Events = evidence.Watched |> List.sumBy _.Had.Length
          Missed = Checks.missed evidence
          Bounds = evidence.Calls |> List.filter _.Staleness.IsSome |> List.length
          Findings =
            Checks.witness evidence
            @ Checks.wishes evidence
            @ Checks.linearizability evidence
            @ Checks.invariants evidence
            @ Checks.watches evidence }

    /// What goes on beside a chapter's faults, and is cancelled when it is over.
    type private Beside() =
        member val Playing = new CancellationTokenSource()
        member val Calling = new CancellationTokenSource()
        member val Watching = new CancellationTokenSource()
        member beside.All = [ beside.Playing; beside.Calling; beside.Watching ]

    let private act
        (plan: Plan)
        (number: int)
        (length: TimeSpan)
        (stop: CancellationToken)
        (lags: List<Regatta.Chaos.Report.Lag>)
        (beside: Beside)
        =
        task {
            let table = $"chaos-{number}"
            let journal = plan.Journal
            use direct = new Agreement.Direct(plan.Fleet, table)
            do! create plan direct table
            use historian = new Historian(plan.Fleet, table, journal)

            let stage draw = { Fleet = plan.Fleet; Journal = journal; Doors = plan.Doors; Draw = draw; Table = table }

            let watchers =
                List.init Workloads.watchers (fun at -> Watcher($"watcher {at + 1}", plan.Seed + 1000 * number + at, plan.Doors, table))

            let watches = watchers |> List.map (fun watcher -> watcher.Run beside.Watching.Token)
            let sampling = sample plan direct lags beside.Calling.Token
            plan.Recorder.Working.Start()
            let calls = clients { plan with Seed = plan.Seed + 1000 * number } table beside.Calling.Token
            let conductors = plan.Decks |> List.map (fun deck -> Conductor.play stage deck beside.Playing.Token)
            do! Task.Delay(length, TimeProvider.System, stop).ContinueWith(ignore<Task>, TaskScheduler.Default)
            do! beside.Playing.CancelAsync()
            do! Task.WhenAll conductors
            let! isReady = plan.Fleet.Ready()
            do! beside.Calling.CancelAsync()
            do! Task.WhenAll calls
            plan.Recorder.Working.Stop()
            do! sampling

            let! agreed = if isReady then Agreement.rest plan.Fleet direct journal else Task.FromResult None

            let! result =
                task {
                    match agreed with
                    | Some revision ->
                        do! Agreement.answers plan.Doors journal
                        do! Agreement.hold plan.Fleet direct journal revision
                        do! catchUp plan direct historian revision

                        if historian.Reached >= revision then
                            let calls = plan.Recorder.Take() |> List.sortBy _.Observation.Began
                            let evidence = Evidence.gather (historian.Commands revision) calls []
                            do! watchToTheEnd plan watchers evidence.Records
                            do! Agreement.content direct journal evidence.Last
                            do! Agreement.tables plan.Fleet direct journal
                            return Some(check { evidence with Watched = watchers |> List.map _.Watched })
                        else
                            return None
                    | None -> return None
                }

            do! beside.Watching.CancelAsync()
            do! Task.WhenAll watches

            if result.IsSome then
                let! _ =
                    (direct.To { Site = 0; Node = 0 })
                        .Tables.DeleteAsync(DeleteTableRequest(Name = table), deadline = Nullable(DateTime.UtcNow.AddSeconds 60.0))
                        .ResponseAsync

                ()

            return result
        }

    /// None when the nodes did not come to agree, or something else kept the chapter from being checked: then there is a finding in the journal.
    let play plan (number: int) (length: TimeSpan) (stop: CancellationToken) lags : Task<Checked option> =
        task {
            let beside = Beside()
            let mutable result = None

            try
                let! reached = act plan number length stop lags beside
                result <- reached
            with e ->
                plan.Journal.Finds $"chapter {number} came to no end: {e}"

            for source in beside.All do
                do! source.CancelAsync()
                source.Dispose()

            if result.IsNone && plan.Journal.Findings.IsEmpty && plan.Journal.Troubles.IsEmpty then
                plan.Journal.Finds $"chapter {number} could not be checked"

            return result
        }
