module Regatta.Chaos.Tests.Program

open Expecto
open Regatta.Testing

[<EntryPoint>]
let main argv =
    TestEntry.run
        (testList
            "Chaos"
            [ Regatta.Chaos.Tests.ReportTests.tests; Regatta.Chaos.Tests.FaultTests.tests; Regatta.Chaos.Tests.CheckTests.tests ])
        argv
