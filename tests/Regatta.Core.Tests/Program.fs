module Program

open Expecto
open Regatta.Core.Tests
open Regatta.Testing

[<EntryPoint>]
let main argv =
    TestEntry.run
        (testList
            "core"
            [ EntryTests.tests
              ResultTests.tests
              ChangeTests.tests
              ReplicatedTests.tests
              HashTests.tests
              MachineTests.tests
              QueryTests.tests
              OverlayTests.tests
              RecentTests.tests
              ValidationTests.tests
              CommandTests.tests
              ModelTests.tests
              StateGraphTests.tests
              DebugBugTests.tests ])
        argv
