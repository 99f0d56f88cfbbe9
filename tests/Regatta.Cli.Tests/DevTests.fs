/// `regatta dev`: where its nodes are, and what happens to all of them when one fails.
module DevTests

open System
open System.IO
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Cli
open Regatta.Node
open Regatta.Storage

let private optionsOf nodes sites port = DevCommand.Options("/data", DevSize(nodes, sites), port, "ERROR") |> List.ofArray
let private options nodes port = optionsOf nodes 1 port

let private layout =
    testList
        "The nodes of a site"
        [ testCase "have ports and directories of their own, and know each other" (fun () ->
              let shown (node: NodeOptions) =
                  node.DataDirectory, [ node.ApiAddress.Port; node.ReplicationAddress.Port; node.RestAddress.Port ], node.RaftAddress

              let nodes = options 3 9000

              Expect.equal
                  (List.map shown nodes)
                  [ "/data/site-0/node-1", [ 9000; 9001; 9003 ], "127.0.0.1:9002"
                    "/data/site-0/node-2", [ 9010; 9011; 9013 ], "127.0.0.1:9012"
                    "/data/site-0/node-3", [ 9020; 9021; 9023 ], "127.0.0.1:9022" ]
                  "directories and ports"

              for node in nodes do
                  Expect.equal
                      [ for other in node.Members -> other.NodeId, other.Address ]
                      [ 1L, "127.0.0.1:9002"; 2L, "127.0.0.1:9012"; 3L, "127.0.0.1:9022" ]
                      $"those that node {node.RaftNodeId} knows"

              Expect.equal [ for node in nodes -> node.RaftNodeId ] [ 1L; 2L; 3L ] "ids"
              Expect.equal [ for node in nodes -> List.ofSeq node.TablesNames ] (List.replicate 3 [ "default" ]) "tables"
              Expect.equal (options 5 65492 |> List.last).RestAddress.Port 65535 "the last port that there is")

          testCase "leave ports to the system when no base port is wanted, but for those that all must know" (fun () ->
              let nodes = options 5 0

              for node in nodes do
                  Expect.equal
                      [ node.ApiAddress.Port; node.ReplicationAddress.Port; node.RestAddress.Port ]
                      [ 0; 0; 0 ]
                      "chosen by the system"

                  Expect.equal
                      [ for other in node.Members -> other.Address ]
                      [ for other in nodes -> other.RaftAddress ]
                      "the same list on all nodes"

              let peers = [ for node in nodes -> int (node.RaftAddress.Split(':')[1]) ]
              Expect.equal peers [ peers.Head .. peers.Head + 4 ] "in a row"
              Expect.isTrue (peers.Head >= 21_000 && List.last peers < 32_768) "below what outgoing connections take, above what tests do"
              Expect.equal (options 1 0).Head.RaftAddress "127.0.0.1:0" "one alone has no peers")

          testCase "of a follower site have ports of their own, and know where to pull from" (fun () ->
              let shown (node: NodeOptions) =
                  node.DataDirectory, node.Role, [ node.ApiAddress.Port; node.ReplicationAddress.Port; node.RestAddress.Port ]

              let nodes = optionsOf 3 3 9000

              Expect.equal
                  (nodes |> List.skip 2 |> List.map shown)
                  [ "/data/site-0/node-3", NodeRole.Leader, [ 9020; 9021; 9023 ]
                    "/data/site-1/node-1", NodeRole.Follower, [ 9100; 9101; 9103 ]
                    "/data/site-2/node-1", NodeRole.Follower, [ 9200; 9201; 9203 ] ]
                  "directories and ports"

              let leaders (node: NodeOptions) = [ for address in node.ReplicationLeaderAddress -> address.Port ]

              for node in List.skip 3 nodes do
                  Expect.equal (leaders node) [ 9001; 9011; 9021 ] "the leader site"
                  Expect.equal [ for other in node.Members -> other.NodeId ] [ 1L ] "alone in its site"

              let chosen = optionsOf 3 2 0
              let replication = [ for node in List.take 3 chosen -> node.ReplicationAddress.Port ]
              let peers = [ for node in List.take 3 chosen -> int (node.RaftAddress.Split(':')[1]) ]
              Expect.equal (leaders chosen[3]) replication "chosen before, because all must know them"
              Expect.equal (peers @ replication) [ peers.Head .. peers.Head + 5 ] "in a row")

          testCase "do not get a port on which somebody listens" (fun () ->
              let first () = int ((options 3 0).Head.RaftAddress.Split(':')[1])
              let taken = first ()
              use listener = new TcpListener(IPAddress.Loopback, taken + 1)
              listener.Start()
              Expect.notEqual (first ()) taken "another block") ]

/// Options of nodes that know nothing of each other: what happens to all of them does not depend on their being one site.
let private strangersAt apiPort (directory: string) =
    [| for id in 1L .. 3L ->
           NodeOptions(
               DataDirectory = Path.Combine(directory, string id),
               RaftNodeId = id,
               ApiAddress = ListenAddress(IPAddress.Loopback, apiPort id),
               RestAddress = ListenAddress(IPAddress.Loopback, 0),
               ReplicationAddress = ListenAddress(IPAddress.Loopback, 0),
               DiskLowWaterBytes = 0L
           ) |]

let private strangers directory = strangersAt (fun _ -> 0) directory

let private start options = StartedNodes.StartAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None)

let private inDirectory (body: string -> Task<unit>) =
    task {
        let directory = Directory.CreateTempSubdirectory "regatta-dev-"

        try
            do! body directory.FullName
        finally
            directory.Delete true
    }

/// The directory is nobody's any more.
let private expectFree (options: NodeOptions) =
    task {
        let! again = start [| options |]
        do! (again :> IAsyncDisposable).DisposeAsync()
    }

let private together =
    testList
        "Nodes of one process"
        [ testCaseTask "are started and stopped together" (fun () ->
              inDirectory (fun directory ->
                  task {
                      let options = strangers directory
                      let! nodes = start options
                      Expect.equal [ for node in nodes.All -> node.Options.RaftNodeId ] [ 1L; 2L; 3L ] "in order"
                      Expect.isEmpty nodes.NotReadyReasons "ready"
                      Expect.isFalse nodes.AnyStopped.IsCompleted "running"
                      let! exits = nodes.StopAsync()
                      Expect.equal [ for exit in exits -> exit.Code ] [ 0; 0; 0 ] "in order"
                      Expect.isTrue nodes.AnyStopped.IsCompletedSuccessfully "stopped"
                      do! expectFree options[0]
                  }))

          testCaseTask "do not start when one of them cannot, and say which" (fun () ->
              inDirectory (fun directory ->
                  task {
                      use taken = new TcpListener(IPAddress.Loopback, 0)
                      taken.Start()
                      let port = (taken.LocalEndpoint :?> IPEndPoint).Port

                      for broken in [ 3L; 1L ] do
                          let options = strangersAt (fun id -> if id = broken then port else 0) directory
                          let mutable said = ""

                          try
                              let! nodes = start options
                              do! (nodes :> IAsyncDisposable).DisposeAsync()
                          with :? NodeStartException as e ->
                              said <- e.Message

                          Expect.stringStarts
                              said
                              $"node {broken} cannot start: api.address: cannot listen on http://127.0.0.1:{port}"
                              "which, and why"

                          for one in strangers directory do
                              do! expectFree one
                  }))

          testCaseTask "all stop when one of them has stopped" (fun () ->
              inDirectory (fun directory ->
                  task {
                      let! nodes = start (strangers directory)
                      do! nodes.All[1].Node.StopAsync()
                      do! nodes.AnyStopped
                      let! exits = nodes.StopAsync()
                      Expect.hasLength exits 3 "all"
                  }))

          testCase "leave the reason of the one that failed, and its exit code" (fun () ->
              let options = strangers "/nowhere"
              let asked = NodeExit(0, "the node was asked to stop")
              let failed = NodeExit(1, "the disk is gone")
              use errors = new StringWriter()
              Expect.equal (NodeRun.Report(options, [| asked; failed; asked |], errors)) ExitCode.Failed "exit code"

              Expect.equal
                  (errors.ToString())
                  "regatta: node 2 stopped: the disk is gone\n  what was acknowledged is on disk; repair the cause and start it again\n"
                  "what is said"

              use alone = new StringWriter()
              Expect.equal (NodeRun.Report([| options[0] |], [| failed |], alone)) ExitCode.Failed "exit code"
              Expect.stringStarts (alone.ToString()) "regatta: the node stopped: the disk is gone\n" "without a number"
              use quiet = new StringWriter()
              Expect.equal (NodeRun.Report(options, [| asked; asked; asked |], quiet), quiet.ToString()) (ExitCode.Ok, "") "on request") ]

let all = testList "dev" [ layout; together ]
