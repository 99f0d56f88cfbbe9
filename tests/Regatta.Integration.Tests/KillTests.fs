module Regatta.Integration.Tests.KillTests

open System
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Testing.Tables
open Regatta.Testing.Nodes

let private small = { Workers = 24; KeysPerWorker = 8; MaxValueBytes = 400 }

/// Large enough that within some rounds tables are flushed and the log is cut.
let private large = { Workers = 8; KeysPerWorker = 6; MaxValueBytes = 60_000 }

/// Kills a node at a random moment of its start, when it replays its log, and says how many of those came before it was ready.
let private killWhileStarting (draw: Random) start =
    task {
        use node = NodeProcess.Start start
        do! Task.Delay(TimeSpan.FromMilliseconds(float (draw.Next 2500)), TimeProvider.System)
        do! node.Kill()
    }

let private survives name size kills =
    Case.ofTask name (fun () ->
        task {
            use scratch = new Scratch()
            use ports = Ports.Take()
            let draw = Random Seed.current
            let workload = Workload(Seed.current, size)
            let traces = scratch.Sub "traces"
            let start = Launch.leader (scratch.Sub "data") ports [ "--raft.trace-dir"; traces ]
            let totals = Totals()
            let mutable state = TableState.empty
            let mutable operations = []
            let mutable whileStarting = 0

            for kill in 1 .. kills + 1 do
                use! node = Rounds.ready start
                use client = Rounds.client ports
                let! round = Rounds.verify $"after kill {kill - 1}" node client workload state operations
                totals.Add round
                state <- round.State
                operations <- []

                if kill > kills then
                    let! code = node.Terminate(TimeSpan.FromSeconds 120.0)
                    Expect.equal code 0 "the exit code of a clean stop"
                else
                    let running = workload.Start(client, state, draw.Next(1, 1500))
                    do! running.Loaded
                    do! node.Kill()
                    let! calls = running.Finished
                    operations <- calls

                    if draw.Next 5 = 0 then
                        do! killWhileStarting draw start
                        whileStarting <- whileStarting + 1

            Report.fact $"kill -9: {kills} under load and {whileStarting} more during the start after it, {totals.Text}"
            Report.fact (Traces.text (Traces.verify (Traces.read traces)))
        })

let tests =
    testList
        "kill -9"
        [ survives "under small writes: every acknowledged write is there after a restart" small (Scale.pick 10 240)
          survives "under large writes: every acknowledged write is there after a restart" large (Scale.pick 5 80) ]
