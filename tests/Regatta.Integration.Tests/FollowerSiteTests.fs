/// A follower site of three processes beside a leader site of three, and what happens to both and to the links between them.
module Regatta.Integration.Tests.FollowerSiteTests

open System
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Testing
open Regatta.Testing.Nodes

let private size = { Workers = 6; KeysPerWorker = 6; MaxValueBytes = 400 }

type private Fault =
    /// The follower site's node that pulls for the table.
    | KillPuller
    | KillFollowers
    | KillLeaderNode
    /// The group's leadership at the follower site moves, and the pulling with it.
    | MovePuller
    /// All links break, and the next ones do after some bytes.
    | CutLinks
    /// Nothing goes between the sites until the leader site has no longer what the follower site needs next.
    | LeaveBehind

/// Mostly cuts, which are quick.
let private byLog = [ KillPuller; KillLeaderNode; MovePuller; CutLinks; CutLinks; CutLinks; CutLinks; KillPuller; CutLinks ]

/// What comes behind an absence falls into the fetch of a state.
let private byState = [ KillPuller; CutLinks; KillLeaderNode; CutLinks; MovePuller; KillFollowers; CutLinks ]

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
                link.CutAtRandom(draw, 30_000)
                link.Break()

            do! aWhile draw 300

            for link in sites.Links do
                link.CutAfter None
                link.Break()
        | LeaveBehind ->
            // Else it is left behind anew while it is still getting a state.
            if draw.Next 3 > 0 then do! sites.Until Follows
            sites.Part()
            do! sites.Until IsLeftBehind
            sites.Join()

        do! aWhile draw 200
    }

/// Rounds of faults under load; after each both sites must come to the same history. `before`: how far back the histories are compared.
let private weather what options (rounds: int) before (faultsOf: int -> Random -> Fault list) =
    task {
        use scratch = new Scratch()
        use sites = new TwoSites(scratch, options)
        let draw = Random Seed.current
        do! sites.Leader.StartAll()
        do! sites.Follower.StartAll()
        let load = SiteLoad(sites.Leader, size, 2)
        let mutable count = 0
        let mutable longest = TimeSpan.Zero

        for number in 1..rounds do
            let faults = faultsOf number draw
            do! load.Begin 50

            for fault in faults do
                do! inflict sites draw fault
                count <- count + 1
                // Looked for now, as another one may have come by the end of the round.
                sites.States |> ignore

            do! sites.Leader.Ready()
            do! sites.Follower.Ready()
            do! load.More 50
            do! load.Settle $"after %A{faults}"
            let! time = sites.Converge(draw, before)
            longest <- max longest time
            let states = sites.States

            if number % 10 = 0 then
                printfn $"%s{what}, after {number} of {rounds} rounds with seed {Seed.current}: {count} faults, {states} whole states"

        Report.fact
            $"%s{what}: {count} faults, {sites.States} whole states installed at least, converged {rounds} times with equal histories and data on all six nodes, within {longest.TotalSeconds:f2} s; {load.Text}"

        return sites.States
    }

let private shuffled (draw: Random) faults =
    let faults = Array.ofList faults
    draw.Shuffle faults
    List.ofArray faults

let private survives =
    Case.ofTask
        "of three nodes: its puller killed, its links cut at any byte, the leader site's nodes killed: it converges, every revision once and in order"
        (fun () ->
            task {
                let faults number draw = shuffled draw (if number % 3 = 0 then KillFollowers :: byLog else byLog)
                let! _ = weather "follower site of three" [] (Scale.pick 6 112) Int64.MaxValue faults
                ()
            })

let private returns =
    Case.ofTask
        "of three nodes that is left behind the leader site's changelog again and again: its nodes killed and its links cut while it gets whole states, it converges"
        (fun () ->
            task {
                let faults _ draw = shuffled draw byState |> List.collect (fun fault -> [ LeaveBehind; fault ])
                let rounds = Scale.pick 1 10
                // Checked by the histories of those revisions that the leader site still has.
                let! states = weather "follower site of three, left behind" [ "--changelog.max-count"; "100" ] rounds 50L faults
                Expect.isGreaterThanOrEqual states rounds "whole states that took the table's place"
            })

let private until (follower: Client) state =
    task {
        let mutable there = false

        while not there do
            let! following = follower.Following()
            there <- following.State = state
            if not there then do! Task.Delay(Readers.pause, TimeProvider.System)
    }

let private adopts =
    Case.ofTask
        "of three nodes whose leader site is set back and writes on is fenced, and adopts what is there when any of its nodes is told to"
        (fun () ->
            task {
                use scratch = new Scratch()
                use sites = new TwoSites(scratch, [])
                let copyTo suffix (path: string) = Machine.must "cp" [ "-a"; path; path + suffix ] |> ignore

                let put number =
                    task {
                        let! _ = sites.Leader.Clients[0].Put($"key{number}", $"{number}")
                        ()
                    }

                do! sites.Leader.StartAll()
                do! sites.Follower.StartAll()
                do! put 1
                do! sites.Leaderless(List.iter (copyTo "-then"))
                do! put 2
                let! _ = sites.Converge(Random Seed.current, 1L)

                do!
                    sites.Leaderless(
                        List.iter (fun path ->
                            Directory.Delete(path, true)
                            Directory.Move(path + "-then", path))
                    )

                do! put 3
                do! put 4
                let! puller = sites.Follower.Leader()
                let other = sites.Follower.Clients[(Site.Except puller).Head]
                do! until other Following.Types.State.Fenced
                let! given = other.Adopt()
                Expect.equal given.Header.Revision 2UL "what is given up"
                let! _ = sites.Converge(Random Seed.current, 1L)
                let! dump = other.Dump()
                Expect.equal (dump.Keys |> Map.toList |> List.map fst) [ "key1"; "key3"; "key4" ] "the leader site's"
            })

let private handsOver =
    Case.ofTask "whose puller alone is cut off from the leader site goes on with another puller" (fun () ->
        task {
            use scratch = new Scratch()
            use ports = Ports.Take()
            use! _leader = Rounds.ready (Launch.leader (scratch.Sub "leader") ports [])
            use client = Rounds.client ports
            let links = [ for _ in Site.All -> new Relay() ]

            for link in links do
                link.LeadTo(Some ports.Replication)

            let node id = Launch.followerNode [ links[id - 1].Address ] id
            use site = new Site(node, (fun index -> scratch.Sub $"follower-{index + 1}"), [])
            do! site.StartAll()
            let! puller = site.Leader()
            let other = (Site.Except puller).Head
            let! revision = client.Put("before", "it")
            use reader = new Client(site.Port other, Launch.table)
            do! reader.Await revision
            links[puller].Close()
            let! revision = client.Put("behind", "it")
            do! reader.Await revision
            let! successor = site.Leader()
            Expect.notEqual successor puller "another node pulls"
            // Also what the catalogue tells comes by another way.
            let! created = client.Tables.CreateAsync(CreateTableRequest(Name = "young"))
            Expect.isNotEmpty created.Id "created"
            let mutable there = false

            while not there do
                let! tables = site.Tables other
                there <- tables |> Seq.contains "young"
                if not there then do! Task.Delay(Readers.pause, TimeProvider.System)

            for link in links do
                do! (link :> IAsyncDisposable).DisposeAsync()
        })

let tests = testList "a follower site" [ survives; returns; adopts; handsOver ]
