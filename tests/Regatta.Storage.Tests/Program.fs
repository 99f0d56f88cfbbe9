module Program

open Expecto
open Regatta.Testing
open Regatta.Storage.Tests

[<EntryPoint>]
let main argv = TestEntry.run (testList "all" [ TableStoreTests.tests ]) argv
