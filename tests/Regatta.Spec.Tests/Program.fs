module Program

open Expecto
open Regatta.Spec.Tests
open Regatta.Testing

[<EntryPoint>]
let main argv =
    let examples =
        [ BytesTests.tests
          RangeTests.tests
          WriteTests.tests
          TxnTests.tests
          CompareTests.tests
          ChangelogTests.tests
          PagesTests.tests ]

    TestEntry.run
        (testList
            "spec"
            [ yield! examples
              GenerateTests.tests
              Laws.tests
              TableRaftTests.tests
              RaftTraceTests.tests
              SiteReplicationTests.tests
              HistoryCheckerTests.tests ])
        argv
