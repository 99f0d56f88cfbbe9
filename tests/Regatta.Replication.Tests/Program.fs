module Regatta.Replication.Tests.Program

open Expecto
open Regatta.Testing

[<EntryPoint>]
let main argv =
    TestEntry.run
        (testList
            "Replication"
            [ Regatta.Replication.Tests.PullTests.tests
              Regatta.Replication.Tests.SimulationTests.tests
              Regatta.Replication.Tests.WatchTests.tests ])
        argv
