namespace Regatta.Testing

open System
open Expecto
open Microsoft.Testing.Platform.Builder

/// How much a run does. `dotnet test` is the quick set; `tests/long` sets REGATTA_TEST_SCALE=long and reaches the big counts; `tests/mutants`, which runs everything hundreds of times, sets it to brief.
type Scale =
    | Brief
    | Quick
    | Long

module Scale =
    let current =
        match Environment.GetEnvironmentVariable "REGATTA_TEST_SCALE" with
        | "long" -> Long
        | "brief" -> Brief
        | _ -> Quick

    /// The count for this run.
    let pick (quick: int) (long: int) =
        match current with
        | Long -> long
        | Quick -> quick
        | Brief -> if quick >= 500 then quick / 20 else quick

module Seed =
    /// The seed of this run: REGATTA_TEST_SEED when set (to repeat a run), else a fixed one, so that CI is deterministic;
    /// the long set draws a new one each time. Print it with every failure.
    let current =
        match Environment.GetEnvironmentVariable "REGATTA_TEST_SEED" with
        | null
        | "" -> if Scale.current = Long then int (DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() &&& 0x7fffffffL) else 20261123
        | text -> int text

module TestEntry =
    /// The whole of a test project's `main`.
    let run (root: Test) (argv: string array) =
        (task {
            let! builder = TestApplication.CreateBuilderAsync argv

            let patience = TimeSpan.FromMinutes(float (Scale.pick 10 300))

            builder.RegisterTestFramework((fun _ -> ExpectoFramework.Capabilities), (fun _ _ -> ExpectoFramework(root, patience)))
            |> ignore

            use! app = builder.BuildAsync()
            return! app.RunAsync()
        })
            .GetAwaiter()
            .GetResult()
