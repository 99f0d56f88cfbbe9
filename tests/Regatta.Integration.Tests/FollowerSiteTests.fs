/// A follower site of three processes beside a leader site of three, and what happens to both and to the links between them.
module Regatta.Integration.Tests.FollowerSiteTests

open System
open System.Diagnostics
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Testing

let private size = { Workers = 6; KeysPerWorker = 6; MaxValueBytes = 400 }
let private patience = TimeSpan.FromSeconds 120.0

type private Fault =
    /// The follower site's node that pulls for the table.
    | KillPuller
    | KillFollowers
    | KillLeaderNode
    /// The group's leadership at the follower site moves, and the pulling with it.
    | MovePuller
    /// All links break, and the next ones do after some bytes.
    | CutLinks

/// Mostly cuts, which are quick.
let private round = [ KillPuller; KillLeaderNode; MovePuller; CutLinks; CutLinks; CutLinks; CutLinks; KillPuller; CutLinks ]

/// Both sites, with a link to each node of the leader site.
type private TwoSites(scratch: Scratch) =
    let leader = new Site((fun index -> scratch.Sub $"leader-{index + 1}"), [])
    let links = [ for _ in Site.All -> new Relay() ]
    let addresses = [ for link in links -> link.Address ]
    let follower = new Site(Launch.followerNode addresses, (fun index -> scratch.Sub $"follower-{index + 1}"), [])

    do links |> List.iteri (fun index link -> link.LeadTo(Some(leader.Replication index)))

    member _.Leader = leader
    member _.Follower = follower
    member _.Links = links

    /// The chain hash of every node of a site at a revision, as far as they still have it.
    member private _.Chains(site: Site, revision: int64) =
        task {
            use client = new Client(site.Port 0, Launch.table, patience)
            let! reply = client.HashesAt revision

            return
                [ for node in reply.Nodes do
                      if node.Error = "" then Convert.ToHexString node.ChainHash.Span ]
        }

    /// Until every node of the follower site has the leader site's revision, which comes with the same history, also at some revisions before it, and with the same data.
    member sites.Converge(draw: Random) =
        task {
            let! revision = leader.Agree()
            let since = Stopwatch.StartNew()

            for index in Site.All do
                use client = new Client(follower.Port index, Launch.table, patience)

                try
                    do! client.Await revision
                with :? RpcException as e ->
                    follower.Fail $"node {index + 1} did not get to revision {revision}: {e.Status}"

            let! reached = follower.Agree()
            Expect.equal reached revision "the follower site's revision"
            let! expected = leader.Clients[0].Dump()

            for index in Site.All do
                let! found = follower.Clients[index].Dump()
                Expect.equal found expected $"data of follower {index + 1} at revision {revision}"

            for at in revision :: List.init 5 (fun _ -> draw.NextInt64(1L, max 2L revision)) do
                let! ours = sites.Chains(follower, at)
                let! theirs = sites.Chains(leader, at)

                match List.distinct (ours @ theirs) with
                | [ _ ] when ours.Length = 3 && theirs.Length = 3 -> ()
                | _ -> follower.Fail $"histories at revision {at}: follower site %A{ours}, leader site %A{theirs}"

            return since.Elapsed
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    (follower :> IDisposable).Dispose()
                    (leader :> IDisposable).Dispose()

                    for link in links do
                        do! (link :> IAsyncDisposable).DisposeAsync()
                }
            )

let private aWhile (draw: Random) (most: int) = Task.Delay(TimeSpan.FromMilliseconds(float (draw.Next most)), TimeProvider.System)

let private killed (site: Site) (draw: Random) (nodes: int list) =
    task {
        do! site.Kill nodes
        do! aWhile draw 500

        for index in nodes do
            site.Start index
    }

let private inflict (sites: TwoSites) (draw: Random) fault =
    task {
        match fault with
        | KillPuller ->
            let! puller = sites.Follower.Leader()
            do! killed sites.Follower draw [ puller ]
        | KillFollowers -> do! killed sites.Follower draw Site.All
        | KillLeaderNode -> do! killed sites.Leader draw [ draw.Next 3 ]
        | MovePuller ->
            let! puller = sites.Follower.Leader()
            let target = List.item (draw.Next 2) (Site.Except puller)

            try
                let! _ = sites.Follower.Clients[puller].MoveLeader(target + 1)
                ()
            with :? RpcException ->
                // The node is being killed, or does not take it.
                ()
        | CutLinks ->
            for link in sites.Links do
                link.CutAfter(Some(fun () -> draw.Next(1, 30_000)))
                link.Break()

            do! aWhile draw 300

            for link in sites.Links do
                link.CutAfter None
                link.Break()

        do! aWhile draw 200
    }

let private survives =
    Case.ofTask
        "of three nodes: its puller killed, its links cut at any byte, the leader site's nodes killed: it converges, every revision once and in order"
        (fun () ->
            task {
                use scratch = new Scratch()
                use sites = new TwoSites(scratch)
                let draw = Random Seed.current
                do! sites.Leader.StartAll()
                do! sites.Follower.StartAll()
                let load = SiteLoad(sites.Leader, size, 2)
                let rounds = Scale.pick 6 112
                let mutable faults = 0
                let mutable longest = TimeSpan.Zero

                for number in 1..rounds do
                    let kinds = Array.ofList (if number % 3 = 0 then KillFollowers :: round else round)
                    draw.Shuffle kinds
                    do! load.Begin 50

                    for fault in kinds do
                        do! inflict sites draw fault
                        faults <- faults + 1

                    do! sites.Leader.Ready()
                    do! sites.Follower.Ready()
                    do! load.More 50
                    do! load.Settle $"after %A{kinds}"
                    let! time = sites.Converge draw
                    longest <- max longest time

                    if number % 10 = 0 then
                        printfn $"follower site, after {number} of {rounds} rounds with seed {Seed.current}: {faults} faults"

                Report.fact
                    $"follower site of three: {faults} faults, converged {rounds} times with equal histories and data on all six nodes, within {longest.TotalSeconds:f2} s; {load.Text}"
            })

let tests = testList "a follower site" [ survives ]
