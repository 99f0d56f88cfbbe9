module Regatta.Integration.Tests.DiskFullTests

open System
open System.Diagnostics
open System.IO
open Expecto
open Grpc.Core
open Regatta.Testing
open Regatta.Testing.Nodes

let private size = { Workers = 16; KeysPerWorker = 8; MaxValueBytes = 4000 }
let private megabyte = 1024L * 1024L
let private patience = TimeSpan.FromSeconds 120.0

/// One put, and whether it was refused for want of room; any other failure is one of the test.
let private tryPut (client: Client) value =
    task {
        try
            let! revision = client.Put("probe", value)
            return Result<int64, string>.Ok revision
        with :? RpcException as error when error.StatusCode = StatusCode.ResourceExhausted ->
            return Error error.Status.Detail
    }

/// Writes until the outcome is the wanted one.
let private writeUntil (node: NodeProcess) (client: Client) what wanted =
    task {
        let since = Stopwatch.StartNew()
        let mutable last = None
        let mutable written = 0

        while last |> Option.forall (fun outcome -> not (wanted outcome)) do
            if since.Elapsed > patience then node.Fail $"%s{what}: not after {patience}; the last write gave %A{last}"

            let! outcome = tryPut client (string written)
            written <- written + 1
            last <- Some outcome

        return last.Value
    }

let private lowWater =
    Case.ofTask
        "below the low-water mark writes get RESOURCE_EXHAUSTED and reads go on; with room again writes go on by themselves"
        (fun () ->
            task {
                Machine.needsRoot "a small file system"
                use disk = new SmallDisk(512)
                use ports = Ports.Take()
                let mark = 128L * megabyte
                let start = Launch.leader (Path.Combine(disk.Path, "data")) ports [ "--disk.low-water-bytes"; string mark ]
                use! node = Rounds.ready start
                use client = Rounds.client ports
                let rounds = Scale.pick 2 5

                for round in 1..rounds do
                    let! kept = client.Put("kept", string round)
                    disk.FillUpTo(mark - 8L * megabyte)
                    let! refusal = writeUntil node client "refusing writes below the mark" Result.isError
                    Expect.stringContains $"%A{refusal}" "disk" "the refusal says what is short"
                    let! readAt, found = client.Get("kept", true)
                    Expect.isGreaterThanOrEqual readAt kept "reads go on, at the current revision"
                    Expect.equal (Option.map _.Value found) (Some(string round)) "reads go on"
                    disk.MakeRoom()
                    let! resumed = writeUntil node client "taking writes again" Result.isOk
                    Expect.isOk resumed "a write with room again"

                let! code = node.Terminate(TimeSpan.FromSeconds 120.0)
                Expect.equal code 0 "the exit code of a clean stop"

                Report.fact
                    $"low-water mark: crossed and left {rounds} times in one process, writes refused and resumed, reads uninterrupted"
            })

let private full =
    Case.ofTask "ENOSPC on the log stops the node with a reason; it starts once there is room and has every acknowledged write" (fun () ->
        task {
            Machine.needsRoot "a small file system"
            // Room for what all rounds keep: the log is not cut by a node that always crashes.
            use disk = new SmallDisk(Scale.pick 256 1024)
            use ports = Ports.Take()
            let draw = Random Seed.current
            let workload = Workload(Seed.current, size)
            let start = Launch.leader (Path.Combine(disk.Path, "data")) ports [ "--disk.low-water-bytes"; "0" ]
            let totals = Totals()
            let mutable state = TableState.empty
            let mutable operations = []
            let rounds = Scale.pick 2 10

            for fault in 1 .. rounds + 1 do
                use! node = Rounds.ready start
                use client = Rounds.client ports
                let! round = Rounds.verify $"after the disk was full, {fault - 1}" node client workload state operations
                totals.Add round
                state <- round.State

                if fault <= rounds then
                    let running = workload.Start(client, state, draw.Next(50, 500))

                    try
                        do! running.Loaded
                    with e ->
                        node.Fail $"before the disk was filled ({disk.FreeBytes} bytes are free): {e.Message}"

                    disk.FillUpTo 0L
                    let! code = node.Exit patience
                    Expect.notEqual code 0 $"the exit code of a node whose log has no room; it printed:\n{node.Output}"
                    Expect.stringContains (node.Output.ToLowerInvariant()) "no space left" "the node says why it stopped"
                    let! calls = running.Finished
                    operations <- calls
                    disk.MakeRoom()

            Report.fact $"ENOSPC on the log: {rounds} times under load, stopped with a reason, {totals.Text}"
        })

let tests = testList "a disk that fills up" [ lowWater; full ]
