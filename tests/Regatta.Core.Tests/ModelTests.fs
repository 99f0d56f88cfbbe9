module Regatta.Core.Tests.ModelTests

open Expecto
open FsCheck.FSharp
open Regatta.Core.Tests.Build
open Regatta.Spec
open Regatta.Testing
open Regatta.Testing.Tables

/// Two histories that differ in at most one command: often they do the same all the same.
let private almostEqual =
    gen {
        let! commands = Generate.script 12
        let! position = Gen.choose (0, max 0 (commands.Length - 1))
        let before = List.truncate position commands
        let state = before |> List.fold (fun state command -> Table.apply state command |> fst) (Table.create Generate.incarnation)
        let! other = Generate.command state
        return commands, before @ other :: List.skip (min commands.Length (position + 1)) commands
    }

let private shrinkPair (first, second) =
    seq {
        for smaller in Shrink.script first -> smaller, second
        for smaller in Shrink.script second -> first, smaller
    }

let private effects commands =
    let state =
        commands |> List.fold (fun state command -> Table.apply state command |> fst) (Table.create Generate.incarnation)

    state.Changelog.Records

let private chain commands =
    let table = TableUnderTest()
    commands |> List.map Translation.command |> table.Apply |> ignore
    table.Applied

let tests =
    testList
        "a table in memory"
        [ ModelEquality.test
              "equals the specification, whatever is applied, read, crashed and restored"
              (Scale.pick 100_000 10_000_000)
              (fun incarnation -> new MemoryEnvironment(incarnation))

          Property.test
              "two histories have the same chain hash exactly if they had the same effects"
              (Scale.pick 2_000 100_000)
              almostEqual
              shrinkPair
              (fun (first, second) -> Expect.equal (chain first = chain second) (effects first = effects second) "same chain, same effects") ]
