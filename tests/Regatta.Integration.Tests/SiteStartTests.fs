/// What /readyz says while a node of a site waits for others.
module Regatta.Integration.Tests.SiteStartTests

open System
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open Expecto
open Regatta.Protocol.V1
open Regatta.Testing
open Regatta.Testing.Nodes

let private refused (site: Site) (index: int) = $"node {index + 1} (127.0.0.1:{site.Raft index}) cannot be reached: Connection refused"
let private unheard (site: Site) (index: int) = $"node {index + 1} (127.0.0.1:{site.Raft index}) has not been heard of"

/// Generous, as a node's own.
let private patience = TimeSpan.FromSeconds 120.0

/// Until /readyz says all of this. A node that was ready does not notice at once that the others are gone.
let private says (site: Site) (index: int) (parts: string list) =
    task {
        let since = Stopwatch.StartNew()
        let mutable waiting = true

        while waiting do
            match!
                site.Node(index).Settled(fun text -> parts |> List.forall (fun part -> text.Contains(part, StringComparison.Ordinal)))
            with
            | NotReady _ -> waiting <- false
            | Ready when since.Elapsed < patience -> do! Task.Delay(Readers.pause, TimeProvider.System)
            | Ready
            | Ended -> site.Fail $"node {index + 1} was to say %A{parts}, and is ready or has ended"
    }

let private waiting =
    Case.ofTask "a node that waits for others says in /readyz for which ones, for what, and why they are not there" (fun () ->
        task {
            use scratch = new Scratch()
            let directory index = scratch.Sub $"node-{index + 1}"
            use site = new Site(directory, [])
            site.Start 0

            do!
                says
                    site
                    0
                    [ "its disk is empty, and no node that it reaches belongs to a site; start the others"
                      "0 of 2 answer this node"
                      refused site 1
                      refused site 2 ]

            site.Start 1
            site.Start 2
            do! site.Ready()
            do! site.Kill [ 0; 1 ]
            do! says site 2 [ "waiting for leaders of 1 of 1 tables: default"; "node 1 ("; "node 2 (" ]
            do! site.Kill [ 2 ]
            site.Start 2
            let majority = "the node is starting: waiting for 1 of 2 other nodes, without which there is no majority"
            // The others would dial it.
            do! says site 2 [ majority; unheard site 0; unheard site 1 ]
            do! site.Kill [ 2 ]
            site.Start 0
            do! says site 0 [ majority; refused site 1; refused site 2 ]
            Directory.Delete(directory 2, true)
            site.Start 2
            do! says site 2 [ "fetching table 'catalogue' for a new disk"; "node 2 must answer first"; unheard site 1 ]
            site.Start 1
            do! site.Ready()
        })

let private tableless =
    Case.ofTask "a follower site of a leader site without tables is ready, also the nodes that do not pull" (fun () ->
        task {
            use scratch = new Scratch()
            use ports = Ports.Take()
            let start = Launch.node "leader" 1 (scratch.Sub "leader") ports [ $"127.0.0.1:{ports.Raft}" ] []
            use! _ = Rounds.ready start
            let launch = Launch.followerNode [ $"http://127.0.0.1:{ports.Replication}" ]
            use site = new Site(launch, (fun index -> scratch.Sub $"follower-{index + 1}"), [])
            do! site.StartAll()
        })

/// Of all snapshots that a node gives away: the big table takes longer than its deletion, and all else is there a moment later.
let private slowly = [ "--raft.rate-limit-bytes"; "200000" ]

let private deletedMeanwhile =
    Case.ofTask "a node with a new disk does not wait for a table that is deleted while it is fetched, and keeps nothing of it" (fun () ->
        task {
            use scratch = new Scratch()
            let directory index = scratch.Sub $"node-{index + 1}"
            use site = new Site(directory, slowly)
            do! site.StartAll()
            let tables = site.Clients[0].Tables
            let! created = tables.CreateAsync(CreateTableRequest(Name = "big")).ResponseAsync
            use big = new Client(site.Port 0, "big", patience)
            let draw = Random Seed.current

            for index in 1..40 do
                let bytes = Array.zeroCreate 150_000
                draw.NextBytes bytes
                let! _ = big.Put($"key-{index}", Convert.ToBase64String bytes)
                ()

            let! status = site.Clients[0].Status()
            let giver = int status.Tables["big"].Leader - 1
            let lost = Site.Except giver |> List.last
            do! site.Kill [ lost ]
            Directory.Delete(directory lost, true)
            site.Start lost
            let fetching = $"Group {created.Id}: fetching snapshot"

            match! site.Node(lost).Settled(fun _ -> site.Node(lost).Output.Contains(fetching, StringComparison.Ordinal)) with
            | NotReady _ -> ()
            | Ready
            | Ended -> site.Fail $"node {lost + 1} was to fetch a table of 8 MB at 200 kB a second, and is ready or has ended"

            let! _ = tables.DeleteAsync(DeleteTableRequest(Name = "big")).ResponseAsync
            // What it still has open, it would give.
            do! site.Kill [ giver ]
            site.Start giver
            do! site.Ready()
            let! served = site.Tables lost
            Expect.equal served [ Launch.table ] "what the node serves"

            // A node is ready before it has cleared away what was deleted.
            let isLeft () =
                try
                    Directory.EnumerateFileSystemEntries(directory lost, "*", SearchOption.AllDirectories)
                    |> Seq.exists (fun path -> path.Split(Path.DirectorySeparatorChar) |> Array.contains created.Id)
                with :? DirectoryNotFoundException ->
                    true

            while isLeft () do
                do! Task.Delay(Readers.pause, TimeProvider.System)
        })

let tests = Expecto.Tests.testList "starts" [ waiting; tableless; deletedMeanwhile ]
