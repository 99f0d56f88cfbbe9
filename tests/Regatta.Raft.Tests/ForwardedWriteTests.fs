/// Writes that a node has passed on to a leader that is one no more.
module Regatta.Raft.Tests.ForwardedWriteTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.Puppets
open Regatta.Raft.Tests.SiteLife
open Regatta.Raft.Tests.Wires

let private deposed =
    taskCase "handed to a leader that is deposed are unknown, and are not applied twice or sent again"
    <| fun () ->
        task {
            use directory = new TemporaryDirectory()
            use site = new Site(directory.Path, 3, [ 7L ], quickWith (TimeSpan.FromSeconds 60.))
            do! site.Start()
            let! leader = site.Leader(7L, site.Ids)
            let others = List.except [ leader ] site.Ids
            let! _ = put (site.Node(leader).Group 7L) "before" "1"
            let reached = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
            let mutable proposals = 0

            // Writes still come to the leader; nothing that it says as one arrives anywhere.
            site.Wires.Decide <-
                fun from target method ->
                    if method = PeerMethod.Propose then
                        if target = leader && Interlocked.Increment &proposals = 1 then reached.TrySetResult() |> ignore

                        Delivered
                    elif from = leader || target = leader then
                        Lost
                    else
                        Delivered

            let from = site.Node(others.Head).Group 7L

            let write = from.ProposeAsync(PutCommand(bytes "key", bytes "value", false), CancellationToken.None).AsTask()

            do! soon reached.Task
            let! next = site.Leader(7L, others)
            let! revision = put (site.Node(next).Group 7L) "after" "2"
            site.Wires.Decide <- fun _ _ _ -> Delivered
            let! outcome = soonResult write
            let! confirmed = barrier from
            Expect.isTrue confirmed.Succeeded "reads go on"

            match outcome.Result, outcome.Failure, get from "key" with
            | null, GroupFailure.Unknown, None -> Expect.equal revision 2L "another write has its place"
            | null, failure, found -> failtestf "%O, and the table has %A" failure found
            | result, _, found ->
                // It came when the other leader was there already, and was passed on to that one.
                Expect.equal found (Some("value", result.Revision)) "applied once"

            for node in site.Nodes do
                let group = node.Group 7L
                let! caughtUp = barrier group
                Expect.isTrue caughtUp.Succeeded "everywhere"
                Expect.equal group.Status.Applied (from.Status.Applied) "the same state"
        }

let private refused =
    taskCase "that no leader takes are refused with what stood in the way"
    <| fun () ->
        task {
            use directory = new TemporaryDirectory()

            let impatient =
                GroupOptions(
                    ElectionTimeout = TimeSpan.FromMinutes 20.,
                    MaxElectionTimeout = TimeSpan.FromMinutes 30.,
                    HeartbeatInterval = TimeSpan.FromMinutes 5.,
                    LeaderTimeout = TimeSpan.FromMilliseconds 1.
                )

            use stage = new Stage(directory.Path, 3, impatient)
            do! stage.Start()

            let reason () =
                task {
                    let! outcome =
                        soonResult (stage.Group.ProposeAsync(PutCommand(bytes "key", bytes "1", false), CancellationToken.None).AsTask())

                    Expect.equal outcome.Failure GroupFailure.NoLeader "refused"
                    return string outcome.Reason
                }

            let! unknown = reason ()
            Expect.stringEnds unknown "nothing happened, try again. No leader is known." "before any leader was heard of"
            let! _ = stage.Append(2L, 1L, (0L, 0L), 0L, [])
            let! known = reason ()
            Expect.stringEnds known "Node 2 is not reachable: a puppet does not do that" "what became of the last attempt"
        }

let private stopped =
    taskCase "that wait for a leader in a group that stops are told so, for another one may take its place"
    <| fun () ->
        task {
            use directory = new TemporaryDirectory()
            use stage = new Stage(directory.Path, 3, untimed)
            do! stage.Start()
            let waiting = stage.Group.ProposeAsync(PutCommand(bytes "key", bytes "1", false), CancellationToken.None).AsTask()
            do! soon (stage.Group.DisposeAsync().AsTask())
            let! outcome = soonResult waiting
            Expect.equal outcome.Failure GroupFailure.Stopped "nothing happened: it can be asked of the next"
        }

let tests = testSequenced (testList "Forwarded writes" [ deposed; refused; stopped ])
