module Regatta.Raft.Tests.Program

open Expecto
open Regatta.Testing
open Regatta.Raft.Tests

[<EntryPoint>]
let main argv =
    TestEntry.run
        (testList
            "Raft"
            [ LogFormatTests.tests
              LogStoreTests.tests
              LogDamageTests.tests
              ByteBudgetTests.tests
              GroupLogSyncTests.tests
              GroupLogConflictTests.tests
              GroupLogReadTests.tests
              GroupLogTermTests.tests
              GroupLogCutTests.tests
              GroupLogSnapshotTests.tests
              GroupLogOpenTests.tests
              GroupLogModelTests.tests
              BatcherTests.tests
              BatcherCancellationTests.tests
              GatheringTests.tests
              CommitNoticeTests.tests
              HeartbeatTests.tests
              BarrierTests.tests
              TableGroupLifecycleTests.tests
              HostedGroupTests.tests
              TableGroupFailureTests.tests
              TableGroupFlushTests.tests
              TableGroupReadTests.tests
              TableGroupCrashTests.tests
              GroupHostTests.tests
              GroupHostLifecycleTests.tests
              GroupHostCrashTests.tests
              SetAsideTests.tests
              SiteTests.tests
              ExactViewTests.tests
              GroupLogTornTests.tests
              ForwardedWriteTests.tests
              AfterwardsTests.tests
              WriteGateTests.tests
              BallotTests.tests
              RaftMessageTests.tests
              LogTailTests.tests
              GroupTraceTests.tests
              TlcTraceTests.tests
              WipedVoterTests.tests
              MadeAnewTests.tests
              CommitGuardTests.tests
              SilentMemberTests.tests
              StepDownTests.tests
              TimeLimitTests.tests
              AppendDeadlineTests.tests
              ElectionTests.tests
              CatchUpTests.tests
              RandomSiteTests.tests
              PeerNetworkTests.tests
              PeerSendingTests.tests
              SnapshotMessageTests.tests
              SnapshotFetchTests.tests
              PeerListeningTests.tests
              PeerHandshakeTests.tests
              PeerDamageTests.tests
              PeerClockTests.tests
              SnapshotEndTests.tests
              SnapshotSourceTests.tests
              ByteRateTests.tests
              SnapshotInstallTests.tests
              InstallTests.tests
              InstallCrashTests.tests ])
        argv
