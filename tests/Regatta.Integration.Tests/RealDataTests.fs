module Regatta.Integration.Tests.RealDataTests

open System
open System.Diagnostics
open System.IO
open System.Text.Json
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Testing.Nodes

/// Turns the package records of the Debian archive, as `apt-cache dumpavail` prints them, into JSON lines: tens of thousands of keys, some 60 MB, real
/// sizes and real text.
let private script = Path.Combine(Build.repository, "docs", "examples", "debian-packages")

/// Fewer records than this are those of the installed packages only.
let private fewest = 10_000

let private packages = "packages"
let private patience = TimeSpan.FromMinutes 5.0

let private regattaAt (clients: int) arguments =
    let line = Build.regatta :: arguments @ [ "--endpoints"; $"127.0.0.1:{clients}"; "--timeout"; "60s" ]
    let result = Machine.run patience "dotnet" line

    if result.ExitCode <> 0 then
        let command = String.concat " " arguments
        failtest $"regatta {command}: exit code {result.ExitCode}: {result.Error} {result.Out}"

    result.Out

let private regatta (ports: Ports) arguments = regattaAt ports.Clients arguments

let private keyAndValue (line: string) =
    use record = JsonDocument.Parse line
    let text (name: string) = record.RootElement.GetProperty(name).GetString() |> string
    text "key", text "value"

/// The archive's records as apt prints them, and as JSON lines in the order of their keys.
type private Archive = { Raw: string; Lines: string; Keys: string array }

let private extract (scratch: Scratch) =
    Machine.needsCommand "real data" "apt-cache"
    let raw = scratch.Sub "available"
    File.WriteAllText(raw, Machine.must "apt-cache" [ "dumpavail" ])
    let lines = (Machine.must script [ raw ]).Split('\n', StringSplitOptions.RemoveEmptyEntries)

    if lines.Length < fewest then
        skiptest $"left out: real data; apt-cache knows only {lines.Length} packages here (apt-get update brings the lists)"

    let keys = lines |> Array.map (keyAndValue >> fst)
    let sorted = scratch.Sub "packages.jsonl"
    let inOrder = Array.zip keys lines |> Array.sortWith (fun (a, _) (b, _) -> String.CompareOrdinal(a, b)) |> Array.map snd
    File.WriteAllText(sorted, String.Join('\n', inOrder) + "\n")
    { Raw = raw; Lines = sorted; Keys = keys }

/// For all tests, which only read it; it takes seconds to make. Removed with the process.
let private archive =
    lazy
        (let scratch = new Scratch()
         AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> (scratch :> IDisposable).Dispose())
         extract scratch)

/// What a dump holds, put together again in the archive's order, is what apt printed: no record was lost or changed on any part of the way.
let private reassembles archive (dump: string) =
    let values = File.ReadLines dump |> Seq.map keyAndValue |> dict
    let text = archive.Keys |> Seq.map (fun key -> values[key] + "\n") |> String.concat ""
    Expect.isTrue (text = File.ReadAllText archive.Raw) "the dumped values in their first order are the text that apt-cache printed"

/// The first and the last key under the prefix, and what one transaction after the other writes to both of them.
let private bounds = "lib!", "lib~"

/// Moves both bounds on, together, until it is stopped; how often.
let private moveOn (client: Client) (stop: CancellationToken) =
    task {
        let first, last = bounds
        let mutable count = 0

        while not stop.IsCancellationRequested do
            count <- count + 1
            let! _ = client.PutAll [ first, string count; last, string count ]
            ()

        return count
    }

/// `kv range --prefix lib` while both ends of that range are written to: the many pages must show one state.
let private oneView (ports: Ports) (client: Client) expected =
    task {
        use stop = new CancellationTokenSource()
        let! _ = client.PutAll [ fst bounds, "0"; snd bounds, "0" ]
        let writing = Task.Run<int>(fun () -> moveOn client stop.Token)

        let lines =
            (regatta ports [ "kv"; "range"; "-t"; packages; "--prefix"; "lib"; "-o"; "jsonl" ])
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)

        stop.Cancel()
        let! moves = writing
        let records = lines |> Array.map (fun line -> JsonDocument.Parse(line).RootElement)
        let keys = records |> Array.map (fun record -> record.GetProperty("key").GetString() |> string)
        let value (record: JsonElement) = record.GetProperty("value").GetString() |> string
        Expect.equal (Array.head keys, Array.last keys) bounds "the first and the last key of the range"
        Expect.equal (value (Array.head records)) (value (Array.last records)) "both ends of the range are of one state"
        Expect.isGreaterThan moves 10 "writes while the range was read"
        Expect.isTrue (keys |> Array.pairwise |> Array.forall (fun (a, b) -> String.CompareOrdinal(a, b) < 0)) "keys ascend, each once"
        Expect.equal (keys.Length - 2) expected "the packages that begin with lib"

        for bound in [ fst bounds; snd bounds ] do
            let! _ = client.Delete bound
            ()

        return moves
    }

let private sameBytes (expected: string) (found: string) what =
    Expect.isTrue
        (File.ReadAllBytes(expected).AsSpan().SequenceEqual(File.ReadAllBytes found))
        $"{what}: {found} has the bytes of {expected}"

let private roundTrip =
    Case.ofTask
        "the Debian archive's package records: loaded, dumped byte for byte, paged as one view during writes, and there after kill -9"
        (fun () ->
            task {
                use scratch = new Scratch()
                use ports = Ports.Take()
                let archive = archive.Value
                let start = Launch.dev (scratch.Sub "data") ports

                use! node = Rounds.ready start
                regatta ports [ "table"; "create"; packages ] |> ignore
                regatta ports [ "kv"; "load"; archive.Lines; "-t"; packages ] |> ignore
                let dumped = scratch.Sub "dumped.jsonl"
                regatta ports [ "kv"; "dump"; dumped; "-t"; packages ] |> ignore
                sameBytes archive.Lines dumped "dump after load"
                reassembles archive dumped

                use client = new Client(ports.Clients, packages)
                let libraries = archive.Keys |> Seq.filter _.StartsWith("lib", StringComparison.Ordinal) |> Seq.length
                let! moves = oneView ports client libraries

                do! node.Kill()
                use! again = Rounds.ready start
                let restored = scratch.Sub "restored.jsonl"
                regatta ports [ "kv"; "dump"; restored; "-t"; packages ] |> ignore
                sameBytes archive.Lines restored "dump after kill -9"
                let! code = again.Terminate(TimeSpan.FromSeconds 120.0)
                Expect.equal code 0 "the exit code of a clean stop"
                let bytes = FileInfo(archive.Lines).Length

                Report.fact
                    $"real data: {archive.Keys.Length} package records, {bytes} bytes as JSON lines, dumped byte for byte, also after kill -9; kv range --prefix lib: {libraries} keys of one view during {moves} transactions"
            })

let private wiped =
    Case.ofTask "the Debian archive's package records on three nodes: one that lost its disk has them back, byte for byte" (fun () ->
        task {
            use scratch = new Scratch()
            let archive = archive.Value
            let directory index = scratch.Sub $"node-{index + 1}"
            use site = new Site(directory, [])
            do! site.StartAll()
            let run index arguments = regattaAt (site.Port index) arguments
            run 0 [ "table"; "create"; packages ] |> ignore
            run 0 [ "kv"; "load"; archive.Lines; "-t"; packages ] |> ignore
            do! site.Kill [ 1 ]
            Directory.Delete(directory 1, true)
            let since = Stopwatch.StartNew()
            site.Start 1
            do! site.Ready()
            let back = since.Elapsed
            // Exit code 1 when the nodes differ.
            let hashes = run 0 [ "table"; "hash"; "-t"; packages ]
            let dumped = scratch.Sub "dumped.jsonl"
            run 1 [ "kv"; "dump"; dumped; "-t"; packages ] |> ignore
            sameBytes archive.Lines dumped "dump of the node that had lost its disk"

            Report.fact
                $"real data, three nodes: {archive.Keys.Length} package records back on a node that had lost its disk {back.TotalSeconds:f1} s after its start, dumped byte for byte; table hash:{Environment.NewLine}{hashes}"
        })

/// Two sites of three nodes; the second one starts when the first one has everything.
let private following what (options: string list) =
    task {
        use scratch = new Scratch()
        let archive = archive.Value
        use sites = new TwoSites(scratch, options)
        do! sites.Leader.StartAll()
        let at (site: Site) index arguments = regattaAt (site.Port index) arguments
        at sites.Leader 0 [ "table"; "create"; packages ] |> ignore
        at sites.Leader 0 [ "kv"; "load"; archive.Lines; "-t"; packages ] |> ignore
        use leader = new Client(sites.Leader.Port 0, packages)
        let! revision, _ = leader.Get("nobody's", true)
        let! status = leader.Status()
        let oldest = status.Tables[packages].OldestRevision
        let since = Stopwatch.StartNew()
        do! sites.Follower.StartAll()

        for index in Site.All do
            use client = new Client(sites.Follower.Port index, packages)
            do! client.Await revision

        let there = since.Elapsed
        // Exit code 1 when the nodes of a site differ.
        let hashes = [ for site in [ sites.Leader; sites.Follower ] -> at site 0 [ "table"; "hash"; "-t"; packages ] ]
        let dumped = scratch.Sub "dumped.jsonl"
        at sites.Follower 1 [ "kv"; "dump"; dumped; "-t"; packages ] |> ignore
        sameBytes archive.Lines dumped "dump of a follower"
        use follower = new Client(sites.Follower.Port 2, packages)
        let! theirs = leader.Hashes()
        let! ours = follower.Hashes()

        let hashed =
            [ for node in Seq.append theirs.Nodes ours.Nodes ->
                  node.Revision, Convert.ToHexString node.Hash.Span, Convert.ToHexString node.ChainHash.Span ]

        Expect.hasLength hashed 6 "nodes"
        Expect.allEqual hashed (List.head hashed) "revision, content and history of all nodes of both sites"
        let lines = String.concat Environment.NewLine hashes

        Report.fact
            $"real data, two sites, %s{what}: {archive.Keys.Length} package records on a follower site of three {there.TotalSeconds:f1} s after its start; table hash of both:{Environment.NewLine}{lines}"

        return oldest, sites.States
    }

let private byLog =
    Case.ofTask
        "the Debian archive's package records reach a follower site started later, by the log: equal hashes on all nodes of both sites"
        (fun () ->
            task {
                let! oldest, states = following "by the log" []
                Expect.equal (oldest, states) (1UL, 0) "the leader site's oldest revision, and whole states"
            })

let private byState =
    Case.ofTask
        "the Debian archive's package records reach a follower site started later, by whole states: equal hashes on all nodes of both sites"
        (fun () ->
            task {
                let! oldest, states = following "by a whole state" [ "--changelog.max-count"; "1000" ]
                Expect.isGreaterThan oldest 1UL "the leader site's oldest revision"
                Expect.equal states 3 "whole states, one on each node"
            })

let tests = testList "real data" [ roundTrip; wiped; byLog; byState ]
