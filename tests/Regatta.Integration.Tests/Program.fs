module Program

open Expecto
open Regatta.Integration.Tests
open Regatta.Testing

[<EntryPoint>]
let main argv =
    TestEntry.run
        (testList
            "integration"
            [ HistoryTests.tests
              StopTests.tests
              KillTests.tests
              SyncFailureTests.tests
              DiskFullTests.tests
              PowerLossTests.tests
              CorruptionTests.tests
              RealDataTests.tests
              SiteStartTests.tests
              SiteKillTests.tests
              SiteDiskTests.tests
              SiteAwayTests.tests
              SiteScaleTests.tests
              SiteHashTests.tests
              FollowerSiteTests.tests
              FollowerScaleTests.tests
              HoppingTests.tests ])
        argv
