module Regatta.Integration.Tests.SiteScaleTests

open System
open System.Diagnostics
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Protocol.V1
open Regatta.Testing
open Regatta.Testing.Nodes

/// Long enough for a table that is elected at last on a loaded machine; the measured times are reported.
let private patience = TimeSpan.FromSeconds 60.0

let private name number = $"table{number:d3}"

/// How long after the request for a new table its first write was acknowledged.
let private firstWrite (site: Site) table =
    task {
        let since = Stopwatch.StartNew()
        let! _ = site.Clients[0].Tables.CreateAsync(CreateTableRequest(Name = table)).ResponseAsync
        use client = new Client(site.Port 0, table, patience)
        let! _ = client.Put("first", "write")
        return since.Elapsed
    }

/// The table's leader and term, as a node sees them.
type private Reign = { Table: string; Leader: string; Term: uint64 }

let private reigns (site: Site) (index: int) =
    task {
        let! status = site.Clients[index].Status()

        return
            [ for pair in status.Tables do
                  { Table = pair.Key; Leader = pair.Value.Leader; Term = pair.Value.RaftTerm } ]
            |> List.sortBy _.Table
    }

/// CPU that the three processes took since they started, and what they hold in memory.
let private usage (site: Site) =
    let processes = Site.All |> List.map (fun index -> Process.GetProcessById (site.Node index).Id)
    let sum (what: Process -> float) = processes |> List.sumBy what
    let usage = sum _.TotalProcessorTime.TotalSeconds, sum (fun running -> float running.WorkingSet64)
    processes |> List.iter _.Dispose()
    usage

/// The share of one core that the whole site takes while nobody calls. What was before goes on for a while and is not measured: code is compiled again in the background, connections close.
let private idle (site: Site) (time: TimeSpan) =
    task {
        let! _ = site.Agree()
        do! Task.Delay(time, TimeProvider.System)
        let before, _ = usage site
        do! Task.Delay(time, TimeProvider.System)
        let after, bytes = usage site
        return (after - before) / time.TotalSeconds, bytes
    }

/// Each writer has one table and one node, and its calls must all be acknowledged.
let private write (site: Site) (writers: int) (tables: int) (stop: CancellationToken) =
    [ for writer in 0 .. writers - 1 do
          Task.Run<int>(fun () ->
              task {
                  use client = new Client(site.Port(writer % 3), name (writer % tables), patience)
                  let mutable count = 0

                  while not stop.IsCancellationRequested do
                      let! _ = client.Put($"writer{writer}/{count % 100}", $"{count}")
                      count <- count + 1

                  return count
              }) ]

let private manyTables =
    Case.ofTask "many tables: no leader is lost under load, and what they cost when idle" (fun () ->
        task {
            use scratch = new Scratch()
            // The long run keeps the usual election time-out, which is what it is about; the short one shares its two cores with other tests.
            let options = if Scale.pick 0 1 = 0 then [ "--raft.election-timeout"; "5s" ] else []
            use site = new Site((fun index -> scratch.Sub $"node-{index + 1}"), options)
            site.EndTraces()
            do! site.StartAll()
            let tables, idleTables, writers = Scale.pick 12 300, Scale.pick 12 100, Scale.pick 12 200
            let duration, rest = TimeSpan.FromSeconds(float (Scale.pick 5 600)), TimeSpan.FromSeconds(float (Scale.pick 2 60))
            let! emptyCores, emptyBytes = idle site rest
            let creations = Array.zeroCreate<TimeSpan> tables

            for table in 0 .. idleTables - 1 do
                let! time = firstWrite site (name table)
                creations[table] <- time

            let! idleCores, idleBytes = idle site rest

            for table in idleTables .. tables - 1 do
                let! time = firstWrite site (name table)
                creations[table] <- time

            let! before = reigns site 0
            use stop = new CancellationTokenSource()
            let writing = write site writers tables stop.Token
            do! Task.Delay(duration, TimeProvider.System)
            stop.Cancel()
            let! counts = Task.WhenAll writing
            let! _ = site.Agree()

            for index in Site.All do
                let! after = reigns site index
                Expect.equal after before $"the leaders and terms that node {index + 1} sees after the load"

            let leaders =
                before |> List.countBy _.Leader |> List.map (fun (leader, count) -> $"{count} on node {leader}") |> String.concat ", "

            do! site.Kill [ 1 ]
            let since = Stopwatch.StartNew()
            site.Start 1
            do! site.Ready()
            let restart = since.Elapsed
            let kib = (idleBytes - emptyBytes) / 3.0 / float idleTables / 1024.0

            Report.fact
                $"site, {tables} tables, {writers} writers for {duration.TotalSeconds} s: {Seq.sum counts} writes, all acknowledged, no leader lost ({leaders}); new table to first write at most {(Seq.max creations).TotalSeconds:f2} s; a killed node ready again after {restart.TotalSeconds:f2} s"

            Report.fact
                $"site, {idleTables} idle tables: {100.0 * idleCores:f1} %% of a core for the three nodes (one table: {100.0 * emptyCores:f1} %%), {kib:f0} KiB per table and node"

            // A dozen tables tell nothing: the processes' own memory varies by more.
            if idleTables >= 100 then
                Expect.isLessThan (1024.0 * kib) 1e6 "bytes that an idle table takes on a node, docs/decisions/0014"
        })

/// So much is written while a node is away, to a table whose log is cut meanwhile.
let private catchUp =
    Case.ofTask "a node that is far behind catches up while the others go on" (fun () ->
        task {
            use scratch = new Scratch()
            let options = [ "--raft.flush-bytes"; "8MiB"; "--raft.retained-log-bytes"; "1MiB" ]
            use site = new Site((fun index -> scratch.Sub $"node-{index + 1}"), options)
            do! site.StartAll()
            let megabytes = Scale.pick 20 1024
            let draw = Random Seed.current
            let! leader = site.Leader()
            let away = (leader + 1) % 3
            do! site.Kill [ away ]

            let value () =
                let bytes = Array.zeroCreate<byte>(3 * 128 * 1024)
                draw.NextBytes bytes
                Convert.ToBase64String bytes

            use client = new Client(site.Port leader, Launch.table)

            for number in 0 .. (2 * megabytes) - 1 do
                let! _ = client.Put($"big{number:d5}", value ())
                ()

            use stop = new CancellationTokenSource()

            let others =
                Task.Run<int>(fun () ->
                    task {
                        let mutable count = 0

                        while not stop.IsCancellationRequested do
                            let! _ = client.Put($"small{count % 100}", $"{count}")
                            count <- count + 1

                        return count
                    })

            let since = Stopwatch.StartNew()
            site.Start away
            do! site.Ready()
            let ready = since.Elapsed
            stop.Cancel()
            let! writes = others
            let! _ = site.Agree()

            Report.fact
                $"site, a node {megabytes} MiB behind: ready after {ready.TotalSeconds:f1} s, equal {(since.Elapsed - ready).TotalSeconds:f1} s later; {writes} writes acknowledged meanwhile"
        })

let tests = testSequenced (testList "site, scale" [ manyTables; catchUp ])
