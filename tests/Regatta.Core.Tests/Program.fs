module Program

open Expecto
open Regatta.Core.Tests
open Regatta.Testing

[<EntryPoint>]
let main argv = TestEntry.run (testList "core" [ ModelTests.tests ]) argv
