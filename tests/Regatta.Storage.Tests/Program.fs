module Program

open Expecto
open Regatta.Testing
open Regatta.Storage.Tests

let private all =
    testList
        "storage"
        [ TableStoreTests.tests
          GoldenTests.tests
          ChangelogTests.tests
          ConcurrencyTests.tests
          CorruptionTests.tests
          FailureTests.tests
          NodeDirectoryTests.tests
          TableGenerationsTests.tests
          ModelTests.tests ]

[<EntryPoint>]
let main argv = TestEntry.run all argv
