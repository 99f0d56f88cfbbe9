/// An entry is committed on A and B, and C lags. A is away, and B comes back with an empty disk.
module Regatta.Raft.Tests.WipedVoterTests

open System
open System.Collections.Immutable
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Spec
open Regatta.Storage
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.HostedSite

/// Stands for election as long as a transfer lasts. True: it leads.
let private stands (site: HostedSite) (id: int64) =
    task {
        let endpoint = site.Table(id, 7L).Endpoint
        let! reply = soonResult (endpoint.HandleAsync(id, PeerMethod.Campaign, ReadOnlyMemory(), CancellationToken.None).AsTask())
        return RaftMessages.DecodeNumber reply = 1L
    }

/// Up to where A and B are down, and B's disk is gone. C has what was written before.
let private committedOnTwo (site: HostedSite) =
    task {
        do! site.Start 7L
        let! a = site.Leader(7L, site.Ids)
        let others = List.except [ a ] site.Ids
        let b, c = others[0], others[1]
        let! before = put (site.Group(a, 7L)) "before" "1"
        do! soon (site.Group(c, 7L).WaitForRevisionAsync(before, CancellationToken.None).AsTask())
        do! site.Crash c
        let! _ = put (site.Group(a, 7L)) "key" "value"
        let history, founders = site.Node(a).Directory.Identity.History, site.Node(a).Directory.Identity.Founders
        do! site.Crash a
        do! site.Crash b
        site.Wipe b
        return a, b, c, (history, founders)
    }

let private recovers =
    taskCase "then B takes no part before it has what A has, and the entry survives"
    <| fun () ->
        task {
            use directory = new TemporaryDirectory()
            use site = new HostedSite(directory.Path)
            let! a, b, c, _ = committedOnTwo site
            do! site.StartNode c
            let! _ = soonResult (site.StartGroup(c, 7L))
            // It hears of the site from C.
            do! site.StartNode b
            Expect.equal (site.Node b).Directory.Identity.Standing NodeStanding.Recovering "another disk than the founder's"
            let recovering = site.StartGroup(b, 7L)
            let! leads = stands site c
            Expect.isFalse leads "nobody votes for C but itself"
            Expect.isFalse recovering.IsCompleted "one of the others is not enough"
            do! site.StartNode a
            let! _ = soonResult (site.StartGroup(a, 7L))
            let! back = soonResult recovering

            for group in [ site.Group(c, 7L); back; site.Group(a, 7L) ] do
                let! outcome = barrier group
                Expect.isTrue outcome.Succeeded $"a linearizable read: {outcome.Reason}"
                Expect.equal (get group "key") (Some("value", 2L)) "is there"

            let! next = put back "after" "2"
            Expect.equal next 3L "and B takes part again"
        }

let private votes =
    taskCase "and if B votes at once, as a member that it no longer is, the entry is lost"
    <| fun () ->
        task {
            use directory = new TemporaryDirectory()
            use site = new HostedSite(directory.Path)
            let! _, b, c, (history, founders) = committedOnTwo site
            site.Breaks <- Some RaftTraceCheck.TakesPartWithoutItsDisk

            // The rule taken out: the new disk is taken for a founder's.
            using (NodeDirectory.OpenInSite(site.PathOf b, NodeRole.Leader, b)) (fun fresh ->
                fresh.Join(history, founders.Add fresh.Identity.Store))

            do! site.StartNode c
            let! _ = soonResult (site.StartGroup(c, 7L))
            do! site.StartNode b
            let! _ = soonResult (site.StartGroup(b, 7L))
            let mutable leads = false

            while not leads do
                let! elected = stands site c
                leads <- elected

            let group = site.Group(c, 7L)
            let! outcome = barrier group
            Expect.isTrue outcome.Succeeded $"a linearizable read: {outcome.Reason}"
            Expect.equal (get group "before") (Some("1", 1L)) "what C had"
            Expect.isNone (get group "key") "acknowledged, and gone: this is what the rule is for"
        }

/// In a site of so many nodes that runs: the site, the node that leads, and the revision of a write.
let private inSite (count: int64) (test: HostedSite -> int64 -> int64 -> Task<unit>) () =
    task {
        use directory = new TemporaryDirectory()
        use site = new HostedSite(directory.Path, count)
        do! site.Start 7L
        let! leader = site.Leader(7L, site.Ids)
        let! written = put (site.Group(leader, 7L)) "key" "value"
        do! test site leader written
    }

/// Loses the disks of some nodes that follow, at once, and starts these nodes: the groups that are coming back.
let private loseDisks (site: HostedSite) (lost: int64 list) =
    task {
        for id in lost do
            do! site.Crash id
            site.Wipe id

        do! Task.WhenAll [| for id in lost -> (site.StartNode id :> Task) |]
        return [ for id in lost -> site.StartGroup(id, 7L) ]
    }

let private isBack (recovering: Task<ITableGroup>) written =
    task {
        let! back = soonResult recovering
        do! soon (back.WaitForRevisionAsync(written, CancellationToken.None).AsTask())
        Expect.equal (get back "key") (Some("value", written)) "has it again"
    }

let private asksAll =
    taskCase "of five nodes, waits for all others: one that is silent may be a candidate that has its former vote"
    <| inSite 5L (fun site leader written ->
        task {
            let others = List.except [ leader ] site.Ids
            let lost, silent = others[0], others[1]
            do! site.Crash silent
            let! coming = loseDisks site [ lost ]
            // Three of the four others lead, follow and answer it, which would do if no vote were lost.
            do! site.WaitsFor(lost, $"node {silent} must answer first")
            Expect.isFalse coming.Head.IsCompleted "and it waits"
            do! site.StartNode silent
            let! _ = soonResult (site.StartGroup(silent, 7L))
            do! isBack coming.Head written
        })

let private twoOfFive =
    taskCase "and another one of five nodes come back together: neither can have the other's vote"
    <| inSite 5L (fun site leader written ->
        task {
            let! coming = loseDisks site (site.Ids |> List.except [ leader ] |> List.truncate 2)

            for recovering in coming do
                do! isBack recovering written
        })

let private twoOfThree =
    taskCase "and another one of three nodes do not come back: too many disks are lost, and they say so"
    <| inSite 3L (fun site leader _ ->
        task {
            let lost = List.except [ leader ] site.Ids
            let! coming = loseDisks site lost

            for id in lost do
                do! site.WaitsFor(id, "1 of the 2 other nodes have their disks, and 2 must")

            Expect.isFalse (coming |> List.exists _.IsCompleted) "they wait"

            do! soon ((site.Node lost[0] :> IAsyncDisposable).DisposeAsync().AsTask())
            do! site.Crash lost[1]
            do! ended coming[0]
            Expect.isTrue coming[0].IsCanceled "one can be stopped meanwhile"
            let! cause = failure coming[1]
            Expect.equal cause.Message "a test crashes the node" "the other one says that its disk has failed meanwhile"
        })

let tests = testSequenced (testList "A wiped voter" [ recovers; votes; asksAll; twoOfFive; twoOfThree ])
