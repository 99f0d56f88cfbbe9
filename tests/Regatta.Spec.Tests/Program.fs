module Program

open Expecto
open Regatta.Spec.Tests
open Regatta.Testing

[<EntryPoint>]
let main argv = TestEntry.run (testList "spec" [ Laws.tests ]) argv
