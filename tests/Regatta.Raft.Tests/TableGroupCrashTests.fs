module Regatta.Raft.Tests.TableGroupCrashTests

open System
open System.Collections.Generic
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.GroupLife

/// Random writers, flushes and cuts; then a crash at a random moment, which keeps what was synced of the log and flushed of the table.
let private crashing =
    let write
        (random: Random)
        (group: TableGroup)
        (life: int)
        (writer: int)
        (acknowledged: List<struct (string * string * int64)>)
        (stop: unit -> bool)
        =
        Task.Run<unit>(fun () ->
            task {
                let mutable sequence = 0

                while not (stop ()) do
                    sequence <- sequence + 1
                    let key = $"{life}/{writer}/{sequence}"
                    let value = String('v', lock random (fun () -> random.Next 2000)) + key
                    let! outcome = propose group key value

                    match outcome.Result with
                    | null -> ()
                    | result -> lock acknowledged (fun () -> acknowledged.Add(struct (key, value, result.Revision)))
            })

    taskCase "no crash loses an acknowledged write, whatever was flushed and cut before it"
    <| fun () ->
        task {
            let random = Random Seed.current

            for run in 1 .. Scale.pick 15 300 do
                use directory = new TemporaryDirectory()
                let disk = Disk()
                let acknowledged = List<struct (string * string * int64)>()

                for life' in 1..5 do
                    let name = $"seed {Seed.current}, run {run}, life {life'}"
                    let options = GroupOptions(FlushBytes = 20_000L, RetainedLogBytes = (if random.Next 2 = 0 then 0L else 100_000L))
                    use life = new Life(directory.Path, disk, options, TimeProvider.System, WriteGate())
                    let! group = life.Start()

                    for struct (key, value, revision) in acknowledged do
                        Expect.equal (get group key) (Some(value, revision)) $"{name}: {key} was acknowledged"

                    let mutable stop = false
                    let writers = [| for writer in 1..3 -> write random group life' writer acknowledged (fun () -> Volatile.Read &stop) |]
                    let choose limit = lock random (fun () -> random.Next limit)
                    let target = lock acknowledged (fun () -> acknowledged.Count) + choose 60

                    while lock acknowledged (fun () -> acknowledged.Count) < target do
                        do! soon (group.MaintainAsync())

                    // The crash: a round that is on its way to disk is not synced, and nothing is after it.
                    life.Gate.Close()

                    if choose 2 = 0 then do! soon life.Gate.Reached

                    let image = disk.State
                    life.Gate.Fail(IOException "crash")
                    let! _ = soonResult life.FailStop.Failure
                    Volatile.Write(&stop, true)
                    let! _ = soonResult (Task.WhenAll writers)
                    disk.State <- image
        }

let tests = testList "TableGroup" [ crashing ]
