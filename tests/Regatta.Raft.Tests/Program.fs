module Regatta.Raft.Tests.Program

open Expecto
open Regatta.Testing
open Regatta.Raft.Tests

[<EntryPoint>]
let main argv =
    TestEntry.run
        (testList
            "Raft"
            [ LogStoreTests.tests
              GroupLogTests.tests
              BatcherTests.tests
              BarrierTests.tests
              TableGroupTests.tests
              GroupHostTests.tests
              SetAsideTests.tests ])
        argv
