namespace Regatta.Chaos

open System
open System.Collections.Generic
open System.IO
open System.Threading
open System.Threading.Tasks
open Regatta.Chaos.Report
open Regatta.Spec
open Regatta.Testing.Nodes
open Regatta.Toxiproxy

/// What a run is asked to do.
[<NoComparison; NoEquality>]
type RunOptions =
    {
        Shape: Shape
        /// Without the time that it takes to start, to agree and to check.
        Length: TimeSpan
        /// The longest time for which one table is written to.
        Chapter: TimeSpan
        Nemeses: Nemesis list
        Workloads: Workload list
        Seed: int
        Planted: string option
        /// Where the report goes.
        Output: string
        /// Of a Toxiproxy server outside; None: one in this process.
        Toxiproxy: Uri option
        /// What repeats the run, by its seed.
        Command: int -> string
        Say: string -> unit
        /// Ends the faults; what was seen so far is checked, and the report written.
        Stop: CancellationToken
    }

module Run =
    /// With fewer answers a second, while clients make calls, a run says nothing.
    let least = 200.0

    let private decks (options: RunOptions) (fleet: Fleet) =
        let possible, impossible = options.Nemeses |> List.partition (fun nemesis -> (nemesis.Obstacle fleet).IsNone)

        for nemesis in impossible do
            options.Say $"left out: {nemesis.Name}: {(nemesis.Obstacle fleet).Value}"

        let deck lane = Deck(possible |> List.filter (fun nemesis -> nemesis.Lane = lane), options.Seed + (hash lane &&& 0xff))
        let network = deck Network
        [ network; network; deck Nodes; deck Other ]

    /// What the nodes wrote down, held against the specification: of each site by itself, and of follower sites against the leader site. What led to an event that must not be is kept.
    let private traces (output: string) (fleet: Fleet) =
        let read directory = if Directory.Exists directory then Regatta.Testing.Tables.Traces.read directory else Seq.empty
        let leader = fleet.Traces 0 |> Seq.collect read

        let found site (event: RaftTrace.Event) what directory =
            let file = Path.Combine(output, $"{Place.siteName site}-trace.txt")
            File.WriteAllLines(file, Regatta.Testing.Tables.Traces.history event (read directory))
            Error $"{Place.siteName site} site: node {event.Node} %s{what}: %0A{event.Act}; what led to it is in {file}"

        [ for site in 0 .. fleet.Shape.Sites - 1 do
              for directory in fleet.Traces site do
                  match RaftTraceCheck.check (read directory) with
                  | Ok figures -> Ok figures.Events
                  | Error mismatch ->
                      directory |> found site mismatch.Event $"did what the specification does not allow, %A{mismatch.Reason}"

                  if site > 0 then
                      match FollowerTraceCheck.check leader (read directory) with
                      | Ok states -> Ok states
                      | Error(event, reason) -> directory |> found site event $"did what no follower site may, %A{reason}" ]

    let private events (traced: Result<int, string> list) =
        traced
        |> List.sumBy (function
            | Ok count -> int64 count
            | Error _ -> 0L)

    let private numbers (value: int64) = value.ToString("N0", Globalization.CultureInfo.InvariantCulture)

    let private call (recorded: Recorded) : Call =
        let observation = recorded.Observation

        { Client = recorded.Client
          Node = Place.name recorded.Place
          Kind = recorded.Kind
          What = Show.request observation.Request
          Answer =
            (match observation.Outcome with
             | Regatta.Spec.Outcome.Answered reply -> Show.reply reply
             | _ -> recorded.Failure)
          Outcome =
            (match observation.Outcome with
             | Regatta.Spec.Outcome.Answered _ -> Answered
             | Regatta.Spec.Outcome.Refused -> Refused
             | Regatta.Spec.Outcome.Unknown -> Unknown)
          Began = float observation.Began / 1e6
          Ended = float observation.Ended / 1e6 }

    let private commit () =
        try
            (Machine.must "git" [ "-C"; Build.repository; "rev-parse"; "--short"; "HEAD" ]).Trim()
        with _ ->
            "unknown"

    let private machine () =
        $"{Environment.ProcessorCount} processors, {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1073741824L} GiB, {Runtime.InteropServices.RuntimeInformation.OSDescription}"

    let private verdictOf (findings: string list) = if findings.IsEmpty then Passed else Failed

    /// The check that the suite itself does what it is meant to: when it fails, nothing was shown.
    let suite = "the suite"

    let private checks
        (chapters: Checked list)
        (findings: Finding list)
        (journal: Journal)
        (traced: Result<int, string> list)
        : Check list =
        let sum (choose: Checked -> int64) = numbers (List.sumBy choose chapters)
        let calls, revisions = sum (fun chapter -> int64 chapter.Calls), sum _.Revisions

        let check name looked =
            let found = findings |> List.filter (fun (finding: Finding) -> finding.Check = name) |> List.map _.Why
            { Name = name; Verdict = verdictOf found; Looked = looked; Found = found }

        let unmatched =
            traced
            |> List.choose (function
                | Error why -> Some why
                | Ok _ -> None)

        [ check "strict serializability" $"{calls} calls against {revisions} revisions"
          check "linearizability per key" $"{calls} calls, whatever their revisions"
          check "sessions" $"{calls} calls"
          check "staleness" $"{sum (fun chapter -> int64 chapter.Bounds)} bounds"
          check "invariants" $"{calls} calls, and {chapters.Length} tables at their ends"
          check
              "watches"
              $"{sum (fun chapter -> int64 chapter.Events)} events; {sum (fun chapter -> int64 chapter.Missed)} that a node did not have any more"
          { Name = "nodes"
            Verdict = verdictOf journal.Findings
            Looked = $"{journal.Inflicted} faults, {chapters.Length} times agreement of all nodes"
            Found = journal.Findings }
          { Name = suite
            Verdict = verdictOf journal.Troubles
            Looked = $"{journal.Faults.Length} faults that were begun"
            Found = journal.Troubles }
          { Name = "traces"
            Verdict = verdictOf unmatched
            Looked = $"{numbers (events traced)} events"
            Found = unmatched } ]

    /// Without these a run that found nothing shows nothing.
    let private missing (chapters: Checked list) (journal: Journal) (traced: Result<int, string> list) =
        [ if chapters.IsEmpty then "no table that was checked"
          if journal.Inflicted = 0 then "no fault"
          if events traced = 0L then "no trace of what the nodes did" ]

    let private record
        (options: RunOptions)
        started
        (clock: RunClock)
        (recorder: Recorder)
        (journal: Journal)
        lags
        (findings: Finding list)
        (checks: Check list)
        (missing: string list)
        : RunRecord =
        let rate = float recorder.Answered / max 1.0 recorder.Working.Elapsed.TotalSeconds
        let failed = checks |> List.filter (fun check -> check.Verdict = Failed)

        let verdict, why =
            if not failed.IsEmpty then
                let names = failed |> List.map _.Name |> String.concat ", "
                Failed, $"{names}: {failed.Head.Found.Head}"
            elif not missing.IsEmpty then
                let names = String.concat ", " missing
                Void, $"the run had {names}"
            elif rate < least then
                Void, $"{rate:F0} operations a second were answered, and {least:F0} are needed to say anything"
            else
                Passed,
                $"{numbers recorder.Answered} answers, {rate:F0} a second, and {journal.Inflicted} faults, and nothing that must not be"

        { Verdict = verdict
          Why = why
          Command = options.Command options.Seed
          Seed = options.Seed
          Commit = commit ()
          Machine = machine ()
          Started = started
          Length = clock.Seconds
          Sites = List.replicate options.Shape.Sites options.Shape.NodesPerSite
          Operations = recorder.Answered
          Planted = options.Planted
          Checks = checks
          Faults = journal.Faults
          FaultCounts = [ for nemesis in Nemeses.all -> { Kind = nemesis.Name; Times = journal.Times nemesis.Name; What = nemesis.What } ]
          Nodes = journal.Events
          Rates = recorder.Rates
          Calls = recorder.Samples |> List.map call
          Lags = lags
          Failures =
            [ for finding in List.truncate 20 findings -> { Check = finding.Check; Why = finding.Why; Core = List.map call finding.Core } ] }

    let private chapters (options: RunOptions) (plan: Plan) lags =
        task {
            let results = List<Checked>()
            let count = max 1 (int (ceil (options.Length / options.Chapter)))
            let mutable goesOn = true
            let mutable number = 0

            while goesOn && number < count && not options.Stop.IsCancellationRequested do
                number <- number + 1
                options.Say $"chapter {number} of {count}"
                let! result = Chapter.play plan number (options.Length / float count) options.Stop lags
                result |> Option.iter results.Add

                match result with
                | Some chapter ->
                    options.Say
                        $"chapter {number}: {numbers (int64 chapter.Calls)} calls, {numbers chapter.Revisions} revisions, {chapter.Findings.Length} findings"
                | None -> ()

                goesOn <- plan.Journal.Findings.IsEmpty && plan.Journal.Troubles.IsEmpty && result |> Option.forall _.Findings.IsEmpty

            return List.ofSeq results
        }

    /// Runs it all, and writes run.json and report.html.
    let play (options: RunOptions) : Task<RunRecord> =
        task {
            let started = DateTimeOffset.UtcNow
            let! server = ToxiproxyServer.StartAsync(Some options.Seed, System.Threading.CancellationToken.None)
            use _ = server
            let clock = RunClock()
            let journal = Journal(clock, fun what -> options.Say $"%7.1f{clock.Seconds} s  %s{what}")
            let recorder = Recorder clock
            let lags = List<Lag>()

            let fleetOptions = { Shape = options.Shape; Planted = options.Planted; ChangelogRevisions = 1200 }

            use! fleet = Fleet.Open(fleetOptions, defaultArg options.Toxiproxy server.Url, journal)
            use doors = new Doors(fleet)
            let! isReady = fleet.Ready()

            let! results =
                if isReady then
                    chapters
                        options
                        { Fleet = fleet
                          Journal = journal
                          Recorder = recorder
                          Doors = doors
                          Decks = decks options fleet
                          Workloads = options.Workloads
                          Seed = options.Seed }
                        lags
                else
                    Task.FromResult []

            for host in fleet.Hosts do
                host.Resume()

                try
                    do! host.Terminate()
                with e ->
                    journal.Finds $"{host.Name} did not end when it was asked to: {e.Message}"

            let findings = results |> List.collect _.Findings
            Directory.CreateDirectory options.Output |> ignore
            let traced = traces options.Output fleet
            let all = checks results findings journal traced
            let missing = missing results journal traced
            let record = record options started clock recorder journal (List.ofSeq lags) findings all missing
            RunRecord.write (Path.Combine(options.Output, "run.json")) record
            Page.write (Path.Combine(options.Output, "report.html")) record
            return record
        }
