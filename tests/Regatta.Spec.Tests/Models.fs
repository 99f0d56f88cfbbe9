/// The models that tla/check runs, for the transition systems in F# to be held to the same outcomes.
module Regatta.Spec.Tests.Models

open System
open System.IO
open Expecto
open Regatta.Spec
open Regatta.Testing

/// A line of tla/models.
type Model =
    {
        Module: string
        Name: string
        Set: string
        /// The number of distinct states, or ! and the rule that refutes it.
        Outcome: string
        /// Those that differ from the module's own.
        Constants: Map<string, string>
    }

let private directory = Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "tla")

let private pair (text: string) =
    let at = text.IndexOf '='
    text.Substring(0, at).Trim(), text.Substring(at + 1).Trim()

/// The constants of a module's configuration.
let private own name = File.ReadLines(Path.Combine(directory, $"{name}.cfg")) |> Seq.filter _.Contains('=') |> Seq.map pair |> Map.ofSeq

let read name =
    [ for line in File.ReadLines(Path.Combine(directory, "models")) do
          match List.ofArray (line.Split(' ', StringSplitOptions.RemoveEmptyEntries)) with
          | found :: model :: set :: _ :: outcome :: constants when found = name ->
              { Module = name
                Name = model
                Set = set
                Outcome = outcome
                Constants = constants |> List.filter _.Contains('=') |> List.map pair |> Map.ofList }
          | _ -> () ]

/// A constant of a model, from its line or from its module's configuration.
let text (model: Model) constant =
    match Map.tryFind constant model.Constants with
    | Some value -> value
    | None -> Map.find constant (own model.Module)

let number model constant = int (text model constant)

/// Sets are written with their elements.
let size model constant = (text model constant).Split(',').Length

/// The quick set has no time for larger ones.
let private mostStates = Scale.pick 100_000 1_000_000

/// Every model of the module: as many states as it has there, or refuted by the same rule when it is broken in that way.
let agree (models: Model list) (faults: Map<string, 'fault>) (explore: Model -> 'fault option -> (string -> bool) -> Explored<'state>) =
    let states =
        [ for model in models do
              match Int32.TryParse model.Outcome with
              | true, states when states <= mostStates ->
                  testCase $"{model.Name}: as many states as in TLA+, and every rule holds" (fun () ->
                      let explored = explore model None (fun _ -> true)
                      Expect.isNone (Option.map fst explored.Broken) "no rule is broken"
                      Expect.equal explored.States states "distinct states")
              | _ -> () ]

    let refuted =
        [ for model in models do
              match Map.tryFind model.Name faults with
              | Some fault when model.Outcome.StartsWith '!' && (model.Set = "quick" || Scale.current = Long) ->
                  let rule = model.Outcome.Substring 1

                  testCase $"{model.Name}: is refuted by {rule}" (fun () ->
                      let explored = explore model (Some fault) ((=) rule)
                      Expect.equal (Option.map fst explored.Broken) (Some rule) "the rule that it breaks")
              | _ -> () ]

    [ testCase "the models are those of tla/models" (fun () ->
          Expect.isNonEmpty states "models of the system"
          let broken = models |> List.filter _.Outcome.StartsWith('!') |> List.map _.Name |> Set.ofList
          Expect.equal (Set.ofSeq faults.Keys) broken "the faults")
      testList "states" states
      testList "faults" refuted ]
