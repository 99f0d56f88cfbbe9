/// A table led along every step of the specification's state graph.
module Regatta.Core.Tests.StateGraphTests

open Expecto
open Regatta.Spec
open Regatta.Testing
open Regatta.Testing.Tables

let private keys = [ "a"; "ab"; "b" ] |> List.map Bytes.OfText |> List.truncate (Scale.pick 2 3)
let private values = [ "v"; "" ] |> List.map Bytes.OfText

let tests =
    testList
        "the state graph of a small table"
        [ testCase "has no step and no answer that the table does otherwise" (fun () ->
              let commands = StateGraph.commands keys values
              let walk = StateGraph.walk commands
              let queries = StateGraph.queries keys
              let shapes = walk |> List.map snd |> List.distinct
              let steps = walk |> List.map (fun (command, shape) -> shape, command) |> List.distinct
              // A key is absent, or has one of the values and was put once or more often.
              Expect.equal shapes.Length (pown (1 + 2 * values.Length) keys.Length) "shapes"
              Expect.equal steps.Length (shapes.Length * commands.Length) "every command in every shape"

              let pageBytes = 64

              let script =
                  { PageBytes = pageBytes
                    Steps =
                      [ for command, _ in walk do
                            Apply [ [ command ] ]

                        for shape in shapes do
                            // There once more, to be asked everything.
                            Apply [ [ Command.Delete { Range = KeyRange.all; PrevKv = false; Count = false } ] ]

                            for key, value, version in shape do
                                for _ in 1L .. version do
                                    Apply [ [ Command.Put { Key = key; Value = value; PrevKv = false } ] ]

                            for query in queries do
                                Read(query, pageBytes) ] }

              ModelEquality.run (fun incarnation -> new MemoryEnvironment(incarnation)) script

              printfn
                  "%d states, %d commands in each, %d steps to walk through all of it; %d questions in each"
                  shapes.Length
                  commands.Length
                  walk.Length
                  queries.Length) ]
