module Regatta.Integration.Tests.StopTests

open System
open Expecto
open Regatta.Testing
open Regatta.Testing.Nodes

let private size = { Workers = 16; KeysPerWorker = 8; MaxValueBytes = 2000 }
let private tenSeconds = TimeSpan.FromSeconds 10.0

let private stopsCleanly =
    Case.ofTask "SIGTERM under load: exit code 0 within 10 s, and a restart has everything" (fun () ->
        task {
            use scratch = new Scratch()
            use ports = Ports.Take()
            let draw = Random Seed.current
            let workload = Workload(Seed.current, size)
            let start = Launch.dev (scratch.Sub "data") ports
            let totals = Totals()
            let mutable state = TableState.empty
            let mutable operations = []
            let stops = Scale.pick 3 20

            for stop in 1 .. stops + 1 do
                use! node = Rounds.ready start
                use client = Rounds.client ports
                let! round = Rounds.verify $"after stop {stop - 1}" node client workload state operations
                totals.Add round
                Expect.equal round.UnknownButHappened 0 $"writes that happened before stop {stop - 1} and were not answered"
                state <- round.State

                if stop <= stops then
                    let running = workload.Start(client, state, draw.Next(100, 1500))
                    do! running.Loaded
                    let! code = node.Terminate tenSeconds
                    Expect.equal code 0 $"the exit code of stop {stop}; the node printed:\n{node.Output}"
                    let! calls = running.Finished
                    operations <- calls

            Report.fact $"SIGTERM: {stops} stops under load, {totals.Text}"
        })

let private refusesASecondProcess =
    Case.ofTask "a second process on the same data directory is refused with a sentence, and the first goes on" (fun () ->
        task {
            use scratch = new Scratch()
            use ports = Ports.Take()
            use otherPorts = Ports.Take()
            let data = scratch.Sub "data"
            use! first = Rounds.ready (Launch.leader data ports [])
            use client = Rounds.client ports
            let! before = client.Put("key", "before")
            use second = NodeProcess.Start(Launch.leader data otherPorts [])
            let! code = second.Exit(TimeSpan.FromSeconds 60.0)
            Expect.notEqual code 0 "the second process's exit code"
            Expect.stringContains second.Output data "the second process names the directory"
            let! after = client.Put("key", "after")
            Expect.equal after (before + 1L) "the first process's revision moves on"
            Expect.isFalse first.HasExited "the first process runs"
        })

let tests = testList "start and stop" [ stopsCleanly; refusesASecondProcess ]
