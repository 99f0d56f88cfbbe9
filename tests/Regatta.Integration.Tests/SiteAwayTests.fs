module Regatta.Integration.Tests.SiteAwayTests

open System
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open Expecto
open Regatta.Protocol.V1
open Regatta.Testing
open Regatta.Testing.Nodes

let private patience = TimeSpan.FromSeconds 120.0

/// The leader and followers in turn.
let private victim (site: Site) (draw: Random) round =
    task {
        let! leader = site.Leader()
        return if round % 2 = 1 then leader else (leader + draw.Next(1, 3)) % 3
    }

/// Now and then the node is killed again while it fetches what it lost, and sometimes loses its disk again, too.
let private wipedNodes =
    Case.ofTask "a node that lost its disk comes back by itself with everything, leader and followers in turn" (fun () ->
        task {
            use scratch = new Scratch()
            let directory index = scratch.Sub $"node-{index + 1}"
            use site = new Site(directory, [])
            let draw = Random Seed.current
            let load = SiteLoad(site, { Workers = 8; KeysPerWorker = 20; MaxValueBytes = 10_000 }, 6)
            do! site.StartAll()
            let wipes = Scale.pick 4 40
            let mutable again = 0

            for wipe in 1..wipes do
                do! load.Begin(draw.Next(50, 500))
                let! lost = victim site draw wipe
                do! site.Kill [ lost ]
                Directory.Delete(directory lost, true)
                let! _ = load.GoesOn(Site.Except lost, $"node {lost + 1} was killed")
                site.Start lost

                if draw.Next 2 = 0 then
                    do! Task.Delay(TimeSpan.FromMilliseconds(float (draw.Next 3000)), TimeProvider.System)
                    do! site.Kill [ lost ]
                    again <- again + 1

                    if draw.Next 2 = 0 && Directory.Exists(directory lost) then Directory.Delete(directory lost, true)

                    site.Start lost

                do! site.Ready()
                let! _ = load.GoesOn(Site.All, $"node {lost + 1} was back with an empty disk")
                do! load.More 100
                do! load.Settle $"after node {lost + 1} lost its disk"

            Report.fact $"site, wiped nodes: {wipes} lost disks, {again} killed again while they came back; {load.Text}"
        })

/// Flushes and cuts follow each other within seconds, and nothing is kept for those who lag.
let private eager = [ "--raft.flush-bytes"; "64KiB"; "--raft.flush-interval"; "1s"; "--raft.retained-log-bytes"; "0" ]

/// Until the leader's log begins behind where it ends now: then a node that is away needs a snapshot.
let private cutBehindNow (site: Site) leader =
    task {
        let since = Stopwatch.StartNew()
        let! now = site.Status leader
        let mutable last = now |> Option.map _.LastLogIndex
        let mutable isCut = false

        while not isCut do
            match! site.Status leader with
            | Some status when last.IsNone -> last <- Some status.LastLogIndex
            | Some status -> isCut <- status.FirstLogIndex > last.Value + 1UL
            | None -> ()

            if not isCut then
                if since.Elapsed > patience then site.Fail $"the leader's log was not cut within {patience}"

                do! Task.Delay(Readers.pause, TimeProvider.System)
    }

let private create (client: Client) name =
    task {
        let! _ = client.Tables.CreateAsync(CreateTableRequest(Name = name)).ResponseAsync
        ()
    }

/// The tables that a node serves, once it serves exactly these.
let private serves (site: Site) (index: int) (expected: string list) =
    task {
        let since = Stopwatch.StartNew()
        let mutable served = []

        while served <> expected do
            let! tables = site.Tables index
            served <- tables

            if served <> expected then
                if since.Elapsed > patience then site.Fail $"node {index + 1} serves %A{served} and should serve %A{expected}"

                do! Task.Delay(Readers.pause, TimeProvider.System)
    }

let private awayForLong =
    Case.ofTask "a node that was away while the log was cut gets a snapshot, and finds out about tables that came and went" (fun () ->
        task {
            use scratch = new Scratch()
            use site = new Site((fun index -> scratch.Sub $"node-{index + 1}"), eager)
            let draw = Random Seed.current
            let load = SiteLoad(site, { Workers = 8; KeysPerWorker = 20; MaxValueBytes = 10_000 }, 6)
            do! site.StartAll()
            do! create site.Clients[0] "t00"
            let absences = Scale.pick 2 20
            let mutable snapshots = 0

            for absence in 1..absences do
                do! load.Begin(draw.Next(50, 500))
                let! away = victim site draw absence
                do! site.Kill [ away ]
                let! _ = load.GoesOn(Site.Except away, $"node {away + 1} was killed")
                let here = site.Clients[(away + 1) % 3]
                let born, gone = $"t{absence:d2}", $"t{absence - 1:d2}"
                do! create here born
                let! _ = here.Tables.DeleteAsync(DeleteTableRequest(Name = gone)).ResponseAsync
                let! leader = site.Leader()
                do! cutBehindNow site leader
                do! cutBehindNow site leader
                site.Start away
                do! site.Ready()
                do! serves site away [ Launch.table; born ]
                use client = new Client(site.Port away, born)
                let! revision = client.Put("born", "while you were away")
                let! seen, found = client.Get("born", true)

                Expect.equal
                    (seen, Option.map _.Value found)
                    (revision, Some "while you were away")
                    "the new table on the node that was away"

                do! load.More 50
                do! load.Settle $"after node {away + 1} was away"

                if not (site.Node(away).Output.Contains("has the state up to index", StringComparison.Ordinal)) then
                    site.Fail $"node {away + 1} got no snapshot, so the test shows nothing"

                snapshots <- snapshots + 1

            Report.fact
                $"site, long absences: {absences}, {snapshots} of them ended with a snapshot, a table created and one deleted in each; {load.Text}"
        })

let tests = testList "a site's nodes that were away" [ wipedNodes; awayForLong ]
