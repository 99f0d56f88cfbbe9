module Regatta.Integration.Tests.PowerLossTests

open System
open System.IO
open Expecto
open Regatta.Testing
open Regatta.Testing.Nodes

let private small = { Workers = 24; KeysPerWorker = 8; MaxValueBytes = 400 }
let private large = { Workers = 8; KeysPerWorker = 6; MaxValueBytes = 60_000 }

let private survives name size losses =
    Case.ofTask name (fun () ->
        task {
            Ext4Disk.Needs "power loss"
            use disk = new Ext4Disk(2048)
            use ports = Ports.Take()
            let draw = Random Seed.current
            let workload = Workload(Seed.current, size)
            let start = Launch.leader (Path.Combine(disk.Path, "data")) ports []
            let totals = Totals()
            let mutable state = TableState.empty
            let mutable operations = []

            for loss in 1 .. losses + 1 do
                use! node = Rounds.ready start
                use client = Rounds.client ports
                let! round = Rounds.verify $"after power loss {loss - 1}" node client workload state operations
                totals.Add round
                state <- round.State

                if loss <= losses then
                    let running = workload.Start(client, state, draw.Next(1, 1500))
                    do! running.Loaded
                    disk.CutPower()
                    // The workers end when the node does, or when its calls fail.
                    let! calls = running.Finished
                    operations <- calls
                    let! code = node.Exit(TimeSpan.FromSeconds 120.0)
                    Expect.notEqual code 0 "the exit code of a node whose disk is gone"
                    disk.Restore()

            Report.fact $"power loss: {losses} under load (each time the node stopped by itself), {totals.Text}"
        })

/// The control: were a sync missing in front of an acknowledgement, the tests above would show it.
let private showsAMissingSync =
    Case.ofTask "with syncs that only pretend, acknowledged writes are lost and the check says so" (fun () ->
        task {
            Ext4Disk.Needs "power loss"
            FaultySyncs.Needs "syncs that only pretend"
            use disk = new Ext4Disk(2048)
            use scratch = new Scratch()
            use ports = Ports.Take()
            let workload = Workload(Seed.current, small)
            let start = Launch.leader (Path.Combine(disk.Path, "data")) ports []
            use! node = Rounds.ready start
            use client = Rounds.client ports
            use syncs = FaultySyncs.Attach(OnlyPretends, node.Id, scratch.Sub "strace")
            do! syncs.Attached
            let running = workload.Start(client, TableState.empty, 500)
            do! running.Loaded
            disk.CutPower()
            do! node.Kill()
            let! operations = running.Finished
            disk.Restore()
            use again = NodeProcess.Start start

            let! verdict =
                task {
                    try
                        do! again.Ready()
                        let! found = client.Dump()
                        return History.check TableState.empty operations found
                    with :? AssertException ->
                        // It does not even start: half of its files are missing.
                        return Error []
                }

            Expect.isError verdict "the check of a history with lost writes"
            Report.fact "power loss, the control: with syncs that only pretend the loss of acknowledged writes is seen"
        })

let tests =
    testList
        "power loss"
        [ survives "under small writes: every acknowledged write is there, data and revision agree" small (Scale.pick 2 25)
          survives "under large writes: every acknowledged write is there, data and revision agree" large (Scale.pick 1 10)
          showsAMissingSync ]
