module Program

open Expecto
open Regatta.Node.Tests
open Regatta.Testing

[<EntryPoint>]
let main argv =
    let all =
        testList
            "Regatta.Node"
            [ OptionTests.tests
              TableNameTests.tests
              ReferenceDocsTests.tests
              CallCatalogueTests.tests
              CatalogueTests.tests
              KvTests.tests
              TablesTests.tests
              LifecycleTests.tests
              OverloadTests.tests
              HostileInputTests.tests
              HealthTests.tests
              EncodingTests.tests
              ReflectionTests.tests
              CallGuardTests.tests
              SiteTests.tests
              TableHashTests.tests
              ReplicationTests.tests
              ReplicationHistoryTests.tests
              FollowerTests.tests
              FollowerStateTests.tests
              SessionTests.tests
              WatchTests.tests
              FreshnessTests.tests
              StalenessTests.tests
              FencingTests.tests
              GoLeaderTests.tests
              GoFencingTests.tests ]

    let code = TestEntry.run all argv
    SharedNodes.stop().GetAwaiter().GetResult()
    code
