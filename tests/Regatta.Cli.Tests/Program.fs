module Program

open Expecto
open Regatta.Testing

[<EntryPoint>]
let main argv =
    TestEntry.run
        (testList
            "cli"
            [ TextTests.all
              RecordTests.all
              TxnTextTests.all
              SettingsTests.all
              ClientFailoverTests.all
              ClientStreamTests.all
              ClientOutcomeTests.all
              PutPipelineTests.all
              UsageTests.all
              KvReadTests.all
              KvWriteTests.all
              TableAndClusterTests.all
              ExitCodeTests.all
              BulkTests.all
              SiteStatusTests.all
              DevTests.all
              DevRunTests.tests
              NodeTests.all
              WatchTests.all ])
        argv
