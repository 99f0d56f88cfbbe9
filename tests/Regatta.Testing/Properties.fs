namespace Regatta.Testing

open System
open Expecto
open FsCheck
open FsCheck.FSharp

/// Properties on FsCheck, seeded: the same seed gives the same cases, and a failure prints the seed and the shrunk case.
module Property =
    let private describe (show: 'a -> string) (arguments: obj list) =
        match arguments with
        | [ :? 'a as case ] -> show case
        | other -> sprintf "%A" other

    let private failed show name cases (data: TestData) original shrunk (cause: exn) =
        String.concat
            Environment.NewLine
            [ $"%s{name}: case {data.NumberOfTests} of {cases} fails, with seed {Seed.current} (repeat: REGATTA_TEST_SEED={Seed.current})"
              $"shrunk {data.NumberOfShrinks} times to:"
              describe show shrunk
              $"which fails because: {cause.Message}"
              "as first drawn:"
              describe show original
              string cause.StackTrace ]

    let private runner show name cases =
        { new IRunner with
            member _.OnStartFixture _ = ()
            member _.OnArguments(_, _, _) = ()
            member _.OnShrink(_, _) = ()

            member _.OnFinished(_, result) =
                match result with
                | TestResult.Passed _ -> ()
                | TestResult.Exhausted data -> failtestf "%s: only %d cases could be drawn, seed %d" name data.NumberOfTests Seed.current
                | TestResult.Failed(data, original, shrunk, Outcome.Failed cause, _, _, _) ->
                    failtest (failed show name cases data original shrunk cause)
                | TestResult.Failed(data, original, shrunk, outcome, _, _, _) ->
                    failtest (failed show name cases data original shrunk (Exception(string outcome))) }

    /// `cases` random cases of `gen`, each handed to `body`, which throws when it finds something wrong (Expecto's `Expect` does).
    /// `show` prints a case. In a brief run nobody reads it, and it is not shrunk. Cases grow from FsCheck's size 1 to its size 100 along the run, for generators that heed it.
    let checkShown (show: 'a -> string) name cases (gen: Gen<'a>) (shrink: 'a -> 'a seq) (body: 'a -> unit) =
        let config =
            Config.Quick
                .WithName(name)
                .WithMaxTest(cases)
                .WithReplay(Some { Rnd = Rnd(uint64 Seed.current); Size = None })
                .WithRunner(runner show name cases)

        let shrink = if Scale.current = Brief then (fun _ -> Seq.empty) else shrink
        Check.One(config, Prop.forAll (Arb.fromGenShrink (gen, shrink)) body)

    /// As checkShown, printing with %A.
    let check name cases gen shrink body = checkShown (sprintf "%A") name cases gen shrink body

    /// An Expecto test that checks a property.
    let test name cases gen shrink body = testCase name (fun () -> check name cases gen shrink body)
