module Regatta.Replication.Tests.SimulationTests

open System
open System.Diagnostics
open System.Threading
open Expecto
open Regatta.Replication
open Regatta.Testing
open Regatta.Replication.Tests.Simulation

/// So many runs, from this run's seed on; each on one thread, as many at a time as there are processors. In the order of the seeds.
let private runs count bug =
    let outcomes = Array.zeroCreate<Outcome> count
    let mutable next = -1

    let work () =
        let mutable mine = Interlocked.Increment &next

        while mine < count do
            outcomes[mine] <- run bug false (Seed.current + mine)
            mine <- Interlocked.Increment &next

    let threads = [ for _ in 1 .. Environment.ProcessorCount -> Thread(work) ]

    for thread in threads do
        thread.Start()

    for thread in threads do
        thread.Join()

    List.ofArray outcomes

/// A run that failed, once more, and with what happened before it did.
let private describe seed =
    let outcome = run NoBug true seed
    let wrong = outcome.Trace |> List.tryFindIndex _.Contains("WRONG") |> Option.defaultValue outcome.Trace.Length

    String.concat
        Environment.NewLine
        [ $"seed {seed} fails (repeat: REGATTA_TEST_SEED={seed} REGATTA_TEST_FILTER=\"simulation / storms\")"
          yield! List.truncate 5 outcome.Faults
          "what happened before:"
          yield! outcome.Trace |> List.truncate (wrong + 1) |> List.skip (max 0 (wrong - 100)) ]

let private storms () =
    let count = Scale.pick 300 10_000
    let watch = Stopwatch.StartNew()
    let outcomes = runs count NoBug
    let total field = List.sumBy field outcomes
    let states = outcomes |> List.map _.States |> Set.unionMany

    printfn
        $"{count} seeds in {watch.Elapsed.TotalSeconds:F1} s: {total _.Revisions} revisions, {total _.InStorm} of them taken in the storm, {total _.Entries} entries, {total _.Installed} changes to whole states and {total _.Stalled} nodes that lacked one, {List.sumBy _.Remade outcomes} tables made anew, {List.sumBy _.Reads outcomes} reads of hopping sessions, {List.sumBy _.Events outcomes} events of hopping watches"

    match outcomes |> List.tryFindIndex (fun outcome -> not outcome.Faults.IsEmpty) with
    | Some index ->
        let failed = outcomes |> List.filter (fun outcome -> not outcome.Faults.IsEmpty)
        failtest $"{failed.Length} of {count} seeds fail. {describe (Seed.current + index)}"
    | None -> ()

    Expect.equal states (Set.ofArray (Enum.GetValues<PullState>())) "all that a puller can say was said by one"
    // A storm in which nothing gets through shows nothing.
    Expect.isGreaterThan (total _.Installed) (int64 count) "changes to whole states"
    Expect.isGreaterThan (total _.Stalled) (int64 count / 10L) "nodes that lacked one"
    Expect.isGreaterThan (List.sumBy _.Reads outcomes) (10 * count) "reads of hopping sessions"
    Expect.isGreaterThan (List.sumBy _.Events outcomes) (10 * count) "events of hopping watches"
    Expect.isGreaterThan (total _.InStorm * 2L) (total _.Revisions) "revisions taken in the storm"

let private finds bug () =
    let found = seq { 0..98 } |> Seq.tryFindIndex (fun index -> not (run bug false (Seed.current + index)).Faults.IsEmpty)
    let index = Expect.wantSome found $"%A{bug} shows in less than a hundred seeds from {Seed.current} on"
    printfn $"%A{bug}: found by seed {index + 1}"

let private repeats () =
    for seed in Seed.current .. Seed.current + Scale.pick 10 200 do
        let first = run NoBug true seed
        let second = run NoBug true seed
        Expect.isNonEmpty first.Trace "there is a trace"
        Expect.sequenceEqual second.Trace first.Trace $"what happens with seed {seed}"

let tests =
    testList
        "simulation"
        [ testCase "storms: no node ever holds anything but its leader site's history, and all get there in the end" storms
          testCase "finds a state machine that takes what is behind it" (finds TakesWhatIsBehind)
          testCase "finds a state machine that installs what is behind it" (finds InstallsWhatIsBehind)
          testCase "finds a state machine that installs another life" (finds InstallsAnotherLife)
          testCase "finds a state machine that goes on without a state" (finds SkipsWhatIsNotHere)
          testCase "finds a bound on staleness that counts from the answer" (finds CountsFromTheAnswer)
          testCase "finds sessions that are forgotten" (finds ForgetsTheSession)
          testCase "finds watches that go on in another state" (finds WatchesOn)
          testCase "does the same with the same seed" repeats ]
