/// The transition system of a table's group has as many states as the TLA+ specification, and is broken in the same ways by the same rules: two who wrote it down agree.
module Regatta.Spec.Tests.TableRaftTests

open System
open System.IO
open Expecto
open Regatta.Spec
open Regatta.Spec.TableRaft
open Regatta.Testing

/// A line of tla/models, with the constants that tla/TableRaft.cfg has where it names none.
type private Model = { Name: string; Set: string; Outcome: string; Bounds: Bounds }

let private directory = Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "tla")

let private models =
    [ for line in File.ReadLines(Path.Combine(directory, "models")) do
          match List.ofArray (line.Split(' ', StringSplitOptions.RemoveEmptyEntries)) with
          | "TableRaft" :: name :: set :: _ :: outcome :: constants ->
              let number (constant: string) otherwise =
                  match constants |> List.tryFind (fun (text: string) -> text.StartsWith $"{constant}=") with
                  | Some found -> int (found.Substring(constant.Length + 1))
                  | None -> otherwise

              let bounds =
                  { Members = 3
                    MaxTerm = number "MaxTerm" 2
                    MaxLog = number "MaxLog" 1
                    MaxWipes = number "MaxWipes" 0
                    First = number "First" 0 }

              if not (List.exists (fun (text: string) -> text.StartsWith "Nodes=") constants) then
                  { Name = name; Set = set; Outcome = outcome; Bounds = bounds }
          | _ -> () ]

let private faults =
    Map
        [ "acknowledges-before-the-sync", AcknowledgesBeforeTheSync
          "counts-its-own-log-before-the-sync", CountsItsOwnLogBeforeTheSync
          "forgets-its-vote", ForgetsItsVote
          "votes-without-its-disk", VotesWithoutItsDisk
          "cuts-where-terms-match", CutsWhereTermsMatch
          "keeps-a-stale-tail-under-a-snapshot", KeepsAStaleTailUnderASnapshot ]

let private explore (model: Model) fault rules = Explorer.explore (initial model.Bounds) (next model.Bounds fault) key rules

/// The quick set has no time for larger ones.
let private mostStates = Scale.pick 100_000 1_000_000

let private equal =
    [ for model in models do
          match Int32.TryParse model.Outcome with
          | true, states when states <= mostStates ->
              testCase $"{model.Name}: as many states as in TLA+, and every rule holds" (fun () ->
                  let explored = explore model Nothing rules
                  Expect.isNone (Option.map fst explored.Broken) "no rule is broken"
                  Expect.equal explored.States states "distinct states")
          | _ -> () ]

let private refuted =
    [ for model in models do
          match Map.tryFind model.Name faults with
          | Some fault when model.Set = "quick" && model.Outcome.StartsWith '!' ->
              let rule = model.Outcome.Substring 1

              testCase $"{model.Name}: is refuted by {rule}" (fun () ->
                  let explored = explore model fault (rules |> List.filter (fun (name, _) -> name = rule))
                  Expect.equal (Option.map fst explored.Broken) (Some rule) "the rule that it breaks")
          | _ -> () ]

let tests =
    testList
        "a table's group"
        [ testCase "the models are those of tla/models" (fun () ->
              Expect.isNonEmpty equal "models of the system"
              Expect.isGreaterThanOrEqual refuted.Length faults.Count "a model for each fault")
          testList "states" equal
          testList "faults" refuted ]
