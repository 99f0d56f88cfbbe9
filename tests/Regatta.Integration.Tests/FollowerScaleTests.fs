/// How fast a follower site that has nothing gets what there is.
module Regatta.Integration.Tests.FollowerScaleTests

open System
open System.Diagnostics
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Testing.Nodes

let private patience = TimeSpan.FromMinutes 5.0

/// 384 KiB that do not compress, half a MiB as text.
let private value (draw: Random) =
    let bytes = Array.zeroCreate<byte>(3 * 128 * 1024)
    draw.NextBytes bytes
    Convert.ToBase64String bytes

let private begun (relay: Relay) =
    task {
        while relay.Carried < 1_000_000L do
            do! Task.Delay(TimeSpan.FromMilliseconds 1.0, TimeProvider.System)
    }

/// The files of the table go through a link that breaks once, in their midst.
let private wholeState =
    Case.ofTask "a table that is behind the changelog comes as a whole, and goes on where it was when the link breaks" (fun () ->
        task {
            use scratch = new Scratch()
            use leaderPorts = Ports.Take()
            use followerPorts = Ports.Take()
            use relay = new Relay()
            let megabytes = Scale.pick 20 1024
            let draw = Random Seed.current
            use! leader = Rounds.ready (Launch.leader (scratch.Sub "leader") leaderPorts [ "--changelog.max-count"; "2" ])
            use writer = new Client(leaderPorts.Clients, Launch.table, patience)
            let mutable revision = 0L

            for number in 0 .. (2 * megabytes) - 1 do
                let! reached = writer.Put($"big{number:d5}", value draw)
                revision <- reached

            let oldest () =
                task {
                    let! status = writer.Status()
                    return status.Tables[Launch.table].OldestRevision
                }

            // Trimming is the work of a timer, which may come while it is written.
            let mutable first = 1UL

            while first < uint64 revision - 1UL do
                let! found = oldest ()
                first <- found

            let bytes = int64 megabytes * 1024L * 1024L
            let mutable cuts = 0

            relay.CutAfter(Some(fun () -> if Interlocked.Increment &cuts = 1 then int (bytes / 2L) else Int32.MaxValue))

            relay.LeadTo(Some leaderPorts.Replication)
            use _follower = NodeProcess.Start(Launch.followerNode [ relay.Address ] 1 (scratch.Sub "follower") [ followerPorts ] [])
            do! begun relay
            let since = Stopwatch.StartNew()
            use reader = new Client(followerPorts.Clients, Launch.table, patience)
            do! reader.Await revision
            let time = since.Elapsed
            let carried = relay.Carried
            let! there = writer.Hashes()
            let! here = reader.Hashes()
            Expect.equal here.Nodes[0].Hash there.Nodes[0].Hash "the same table"
            Expect.equal here.Nodes[0].ChainHash there.Nodes[0].ChainHash "the same history"
            Expect.isGreaterThan cuts 1 "the link broke"
            Expect.isLessThan carried (bytes * 5L / 4L) "it was not begun anew"

            Report.fact
                $"a table of {megabytes} MiB as a whole: {carried / 1_000_000L} MB came over the link, which broke once; readable {time.TotalSeconds:f2} s after the first MB, {float bytes / 1e6 / time.TotalSeconds:f0} MB/s"

            let! _ = leader.Terminate(TimeSpan.FromSeconds 30.0)
            ()
        })

let tests = testSequenced (testList "follower site, scale" [ wholeState ])
