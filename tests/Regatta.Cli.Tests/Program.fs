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
              ClientTests.all
              UsageTests.all
              CommandTests.all
              BulkTests.all
              NodeTests.all ])
        argv
