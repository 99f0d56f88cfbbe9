/// The catalogue of faults, in which order they come, and links that are cut.
module Regatta.Chaos.Tests.FaultTests

open System
open System.IO
open System.Net
open System.Net.Sockets
open System.Threading
open Expecto
open Regatta.Chaos
open Regatta.Testing
open Regatta.Testing.Nodes
open Regatta.Toxiproxy

let private names (nemeses: Nemesis list) = nemeses |> List.map _.Name

let private catalogue =
    [ testCase "at least 45 kinds of faults, each with a name of its own, are in chaos/README.md" (fun () ->
          let all = names Nemeses.all
          Expect.isGreaterThanOrEqual all.Length 45 "kinds"
          Expect.equal (List.distinct all) all "names"
          let listed = File.ReadAllText(Path.Combine(Build.repository, "chaos", "README.md"))

          for nemesis in Nemeses.all do
              Expect.stringContains listed $"| `{nemesis.Name}` | {nemesis.What} |" "its row"

          for workload in Workloads.all do
              Expect.stringContains listed $"| `{workload.Name}` | {workload.What} |" "its row")
      testCase "faults are selected by name, by the beginning of a name, or all" (fun () ->
          let selected text = Nemeses.select text |> Result.map names

          Expect.equal
              (selected [ "kill-leader"; "power-loss-*" ])
              (Ok [ "kill-leader"; "power-loss-node"; "power-loss-site"; "power-loss-everywhere" ])
              "two ways"

          Expect.equal (selected [ "all"; "kill-leader" ]) (Ok(names Nemeses.all)) "each once"
          Expect.isError (selected [ "kill-leader"; "kill-nobody" ]) "an unknown name"
          Expect.isError (selected [ "nothing-*" ]) "an unknown beginning") ]

let private decks =
    [ testCase "a deck gives each kind as often as any other, and the same seed the same order" (fun () ->
          let kinds = List.truncate 7 Nemeses.all
          let drawn seed = let deck = Deck(kinds, seed) in List.init 21 (fun _ -> let nemesis, seed = deck.Next() in nemesis.Name, seed)
          Expect.equal (drawn 5) (drawn 5) "the same seed"
          Expect.notEqual (drawn 5) (drawn 6) "another one"

          for round in List.chunkBySize 7 (List.map fst (drawn 5)) do
              Expect.equal (List.sort round) (List.sort (names kinds)) "all of them before one comes again")
      testCase "planted bugs have faults that exist" (fun () ->
          for name, nemeses in Planted.all do
              Expect.isOk (Nemeses.select (List.ofArray (nemeses.Split ','))) name
              let listed = File.ReadAllText(Path.Combine(Build.repository, "docs", "planted-bugs.md"))
              Expect.stringContains listed $"| `{name}` |" "docs/planted-bugs.md") ]

/// In a node's place a shell that says something and ends; what is found, of how often it ended.
let private ends saying (prepare: Host -> unit) times =
    task {
        let journal = Journal(RunClock(), ignore)
        let start () = { Prefix = [ "sh"; "-c"; $"echo '{saying}'; exit 1" ]; Arguments = []; Rest = 0 }
        use host = new Host({ Site = 0; Node = 0 }, Shared(new Scratch()), start, 0, journal)
        let mutable ended = 0

        for time in 1..times do
            host.Start()

            if time = 1 then prepare host

            let! did = host.Ends(TimeSpan.FromSeconds 60.0)

            if did then ended <- ended + 1

        Expect.equal ended times "it ended"
        return journal.Findings
    }

let private endings =
    let finds name saying prepare times (expected: string list) =
        testCaseAsync
            name
            (async {
                let! found = Async.AwaitTask(ends saying prepare times)
                Expect.equal found.Length expected.Length "findings"

                for finding, part in List.zip found expected do
                    Expect.stringContains finding part "why"
            })

    [ finds "a node that ends by itself is a finding" "No space left" ignore 1 [ "nothing had been done to it that ends nodes" ]
      finds "it is none when a fault may end it and it says so" "No space left" (fun host -> host.MayEnd "no space left") 1 []
      finds "nor if it says so in its own words" "probably no space left: 0 bytes are free" (fun host -> host.MayEnd "no space left") 1 []
      finds
          "it is one when it says something else"
          "a crash"
          (fun host -> host.MayEnd "No space left")
          1
          [ "did not say \"No space left\"" ]
      finds
          "it is one when it says that it has made a mistake, though a fault may end it"
          "Put failed in a way that it must not: please report this. No space left"
          (fun host -> host.MayEnd "No space left")
          1
          [ "leader-1 says that it has made a mistake: Put failed" ]
      finds
          "it is one when it ends again after its next start"
          "No space left"
          (fun host -> host.MayEnd "No space left")
          2
          [ "nothing had been done to it that ends nodes" ] ]

/// Whether somebody gets through.
let private reaches (port: int) =
    task {
        use client = new TcpClient()

        try
            do! client.ConnectAsync(IPAddress.Loopback, port)
            return true
        with :? SocketException ->
            return false
    }

let private links =
    [ testCaseAsync
          "a link that is cut twice is open when it was mended twice"
          (async {
              do!
                  Afterwards.run (fun () ->
                      task {
                          use! server = ToxiproxyServer.StartAsync(Some 1, CancellationToken.None)
                          use upstream = new TcpListener(IPAddress.Loopback, 0)
                          upstream.Start()
                          use ports = Ports.Take()
                          let link = { From = Clients; To = { Site = 0; Node = 0 } }
                          use! links = Links.Open(server.Url, [ link, ports.Base, (upstream.LocalEndpoint :?> IPEndPoint).Port ])
                          let seen = ResizeArray()

                          for change in [ links.Cut; links.Cut; links.Mend; links.Mend ] do
                              do! change link
                              let! open' = reaches (links.Port link)
                              seen.Add open'

                          Expect.equal (List.ofSeq seen) [ false; false; false; true ] "after each change"
                      })
                  |> Async.AwaitTask
          }) ]

let tests = testList "faults" (catalogue @ decks @ endings @ links)
