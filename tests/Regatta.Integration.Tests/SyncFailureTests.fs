module Regatta.Integration.Tests.SyncFailureTests

open System
open System.Diagnostics
open System.IO
open Expecto
open Regatta.Testing
open Regatta.Testing.Nodes

let private size = { Workers = 24; KeysPerWorker = 8; MaxValueBytes = 1000 }
let private patience = TimeSpan.FromSeconds 120.0

/// Two readings of the two clocks at one moment: calls are timed by the one, strace by the other.
type private Clocks = { Wall: DateTimeOffset; Ticks: int64 }

let private readClocks () = { Wall = TimeProvider.System.GetUtcNow(); Ticks = Stopwatch.GetTimestamp() }
let private wall clocks ticks = clocks.Wall + Stopwatch.GetElapsedTime(clocks.Ticks, ticks)

let private saysWhy (node: NodeProcess) code =
    if code = 0 then node.Fail "the node ended with exit code 0 although its disk failed"

    if not (node.Output.Contains("Input/output error", StringComparison.OrdinalIgnoreCase)) then
        node.Fail "the node did not say that its disk failed"

/// A call that began when a sync had failed needs a later sync, and all of them fail.
let private nothingAfter (node: NodeProcess) clocks (failures: DateTimeOffset list) operations =
    match failures with
    | [] -> node.Fail "no sync failed, so the test shows nothing"
    | first :: _ ->
        let late =
            operations
            |> List.concat
            |> List.filter (fun operation -> operation.Outcome.IsAcknowledged && wall clocks operation.Begun > first)

        if not late.IsEmpty then
            node.Fail $"{late.Length} calls that began after the first failed sync were acknowledged, such as %A{late.Head}"

let private underLoad =
    Case.ofTask
        "EIO from every sync under load: the node stops and says why, nothing is acknowledged after it, and the next start has the rest"
        (fun () ->
            task {
                FaultySyncs.Needs "failing fsync and fdatasync"
                Ext4Disk.Needs "losing what a failed sync left behind"
                use disk = new Ext4Disk(2048)
                use scratch = new Scratch()
                use ports = Ports.Take()
                let draw = Random Seed.current
                let workload = Workload(Seed.current, size)
                let start = Launch.leader (Path.Combine(disk.Path, "data")) ports []
                let totals = Totals()
                let mutable state = TableState.empty
                let mutable operations = []
                let mutable failures = 0
                let rounds = Scale.pick 2 20

                for fault in 1 .. rounds + 1 do
                    use! node = Rounds.ready start
                    use client = Rounds.client ports
                    let! round = Rounds.verify $"after fault {fault - 1}" node client workload state operations
                    totals.Add round
                    state <- round.State

                    if fault <= rounds then
                        let running = workload.Start(client, state, draw.Next(50, 1000))
                        do! running.Loaded
                        let clocks = readClocks ()
                        use syncs = FaultySyncs.Attach(FailsWithEio, node.Id, scratch.Sub $"strace-{fault}")
                        let! code = node.Exit patience
                        saysWhy node code
                        do! syncs.Ended
                        let! calls = running.Finished
                        operations <- calls
                        nothingAfter node clocks syncs.Faults operations
                        failures <- failures + syncs.Faults.Length
                        // What those syncs did not bring to the disk is lost: an acknowledgement that relied on one of them would show now.
                        disk.CutPower()
                        disk.Restore()

                Report.fact $"EIO under load: {rounds} faults ({failures} failed syncs), then power loss, {totals.Text}"
            })

let private whileStarting =
    Case.ofTask
        "EIO from the n-th sync on, during the start: the node stops and says why, or was done before it, and starts again cleanly"
        (fun () ->
            task {
                FaultySyncs.Needs "failing fsync and fdatasync"
                use scratch = new Scratch()
                use ports = Ports.Take()
                let start = Launch.leader (scratch.Sub "data") ports []
                let depth = Scale.pick 3 12

                for nth in 1..depth do
                    let log = scratch.Sub $"strace-{nth}"
                    use faulty = NodeProcess.Start { start with Prefix = FaultySyncs.Prefix(log, nth) }
                    use client = Rounds.client ports

                    let stoppedByItself =
                        task {
                            let! code = faulty.Exit patience
                            saysWhy faulty code
                        }

                    // Should it get ready before a sync fails, writes drive it on to the n-th.
                    let driven =
                        task {
                            while not faulty.HasExited do
                                try
                                    let! _ = client.Put("driven", string nth)
                                    ()
                                with :? Grpc.Core.RpcException ->
                                    ()
                        }

                    do! stoppedByItself
                    do! driven

                    if not (File.ReadAllText(log).Contains("(INJECTED)", StringComparison.Ordinal)) then
                        faulty.Fail "no sync failed, so the test shows nothing"

                    use! node = Rounds.ready start
                    use client = Rounds.client ports
                    let! _ = client.Put("after", string nth)
                    let! code = node.Terminate(TimeSpan.FromSeconds 120.0)
                    Expect.equal code 0 "the exit code of a clean stop"

                Report.fact
                    $"EIO during the start: from each of the first {depth} syncs of a thread on, stopped with a reason and started again"
            })

let tests = testList "a disk that fails" [ underLoad; whileStarting ]
