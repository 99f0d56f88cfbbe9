module Regatta.Integration.Tests.SiteDiskTests

open System
open System.IO
open System.Threading.Tasks
open Regatta.Testing
open Regatta.Testing.Nodes

let private size = { Workers = 8; KeysPerWorker = 6; MaxValueBytes = 2000 }
let private patience = TimeSpan.FromSeconds 120.0

/// A site whose nodes have a disk each, under load.
type private Disked(draw: Random) =
    let disks = List.init 3 (fun _ -> new Ext4Disk(1024))
    let site = new Site((fun index -> Path.Combine(disks[index].Path, "data")), [])
    let load = SiteLoad(site, size, 6)

    member _.Site = site
    member _.Load = load
    member _.Disk(index: int) = disks[index]

    /// The leader and a follower in turn.
    member _.Victim(round: int) =
        task {
            let! leader = site.Leader()
            return if round % 2 = 1 then leader else (leader + draw.Next(1, 3)) % 3
        }

    /// The nodes that were lost come back, the site goes on, and everything is there.
    member _.Recover(lost: int list, what: string) =
        task {
            for index in lost do
                disks[index].Restore()
                site.Start index

            do! site.Ready()
            let! _ = load.GoesOn(Site.All, $"the site was whole again after {what}")
            do! load.More 50
            do! load.Settle $"after {what}"
        }

    interface IDisposable with
        member _.Dispose() =
            (site :> IDisposable).Dispose()
            disks |> List.iter (fun disk -> (disk :> IDisposable).Dispose())

let private failedSyncs =
    Case.ofTask "EIO from the syncs of one node under load: it stops and says why, the site goes on, and it comes back" (fun () ->
        task {
            FaultySyncs.Needs "failing fsync and fdatasync"
            Ext4Disk.Needs "losing what a failed sync left behind"
            use scratch = new Scratch()
            let draw = Random Seed.current
            use disked = new Disked(draw)
            let site, load = disked.Site, disked.Load
            do! site.StartAll()
            let faults = Scale.pick 2 20
            let mutable failures = 0
            let mutable longest = TimeSpan.Zero

            for fault in 1..faults do
                do! load.Begin(draw.Next(50, 500))
                let! victim = disked.Victim fault
                let node = site.Node victim
                use syncs = FaultySyncs.Attach(FailsWithEio, node.Id, scratch.Sub $"strace-{fault}")
                let! code = node.Exit patience
                let! gap = load.GoesOn(Site.Except victim, $"node {victim + 1} stopped")
                longest <- max longest gap

                if code = 0 || not (node.Output.Contains("Input/output error", StringComparison.OrdinalIgnoreCase)) then
                    site.Fail $"node {victim + 1} ended with exit code {code} and did not say that its disk failed"

                do! syncs.Ended
                failures <- failures + syncs.Faults.Length
                disked.Disk(victim).CutPower()
                do! disked.Recover([ victim ], $"failed syncs of node {victim + 1}")

            if failures = 0 then site.Fail "no sync failed, so the test shows nothing"

            Report.fact
                $"site, EIO: {faults} nodes stopped with a reason ({failures} failed syncs), writes went on within {longest.TotalSeconds:f2} s; {load.Text}"
        })

/// One node stops by itself, because its disk is gone; all three are killed in the same moment, or the last ones would never know.
let private powerLosses =
    Case.ofTask "power loss of one node and of all three at once: nothing acknowledged is lost" (fun () ->
        task {
            Ext4Disk.Needs "power loss"
            let draw = Random Seed.current
            use disked = new Disked(draw)
            let site, load = disked.Site, disked.Load
            do! site.StartAll()
            let losses = Scale.pick 2 52

            for loss in 1..losses do
                do! load.Begin(draw.Next(1, 500))

                if loss % 2 = 0 then
                    for index in Site.All do
                        disked.Disk(index).CutPower()

                    do! site.Kill Site.All
                    do! disked.Recover(Site.All, "power loss of all nodes")
                else
                    let! victim = disked.Victim(loss / 2)
                    disked.Disk(victim).CutPower()
                    let! code = site.Node(victim).Exit patience

                    if code = 0 then site.Fail $"node {victim + 1}, whose disk is gone, ended with exit code 0"

                    do! disked.Recover([ victim ], $"power loss of node {victim + 1}")

            Report.fact $"site, power loss: {losses}, of one node and of all three in turn; {load.Text}"
        })

let tests = Expecto.Tests.testList "a site's disks" [ failedSyncs; powerLosses ]
