module Regatta.Core.Tests.DebugBugTests

open System.Diagnostics
open System.Reflection
open Expecto
open Regatta.Core

/// Found by what the compiler says of the assembly, so that it is the build that is asked and not this one's switches.
let private core = typeof<TableMachine>.Assembly

let private isDebug =
    core.GetCustomAttributes<DebuggableAttribute>() |> Seq.exists (fun attribute -> attribute.IsJITOptimizerDisabled)

let private planted =
    core.GetTypes() |> Array.filter (fun found -> found.Name.StartsWith "DebugBug") |> Array.map _.Name |> Array.sort

let tests =
    testList
        "planted bugs"
        [ test "are in a Debug build and in no other" {
              let expected = if isDebug then [| "DebugBug"; "DebugBugs" |] else [||]
              Expect.equal planted expected $"the types of planted bugs in {core.Location}, a build for debugging: {isDebug}"
          } ]
