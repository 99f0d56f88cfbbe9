module Regatta.Toxiproxy.Tests.Program

open Expecto
open Regatta.Testing

[<EntryPoint>]
let main argv =
    TestEntry.run
        (testList
            "Toxiproxy"
            [ RoutingTests.tests
              ProxyApiTests.tests
              ProxyUpdateTests.tests
              PopulateTests.tests
              ToxicApiTests.tests
              AttributeTests.tests
              ClientTests.tests
              PlainTests.tests
              DelayTests.tests
              BandwidthTests.tests
              LossTests.tests
              SlicerTests.tests
              ToxicityTests.tests
              ChangeTests.tests
              ChainTests.tests
              DisposalTests.tests ])
        argv
