module Regatta.Node.Tests.LifecycleTests

open System
open System.Collections.Concurrent
open System.Diagnostics
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Microsoft.Extensions.Logging
open Regatta.Node
open Regatta.Protocol.V1
open Regatta.Raft

let private startFails (directory: string) (settings: (string * string) list) =
    task {
        try
            use! _ = Nodes.start directory settings
            return failtest "it must not start"
        with :? NodeStartException as e ->
            return e.Message
    }

/// In /metrics, when one put has come.
let private putsStarted = "grpc_server_started_total{grpc_service=\"regatta.v1.KV\",grpc_method=\"Put\"} 1"

let tests =
    testList
        "a node"
        [ Nodes.test "is ready when its start is over, and says where it listens" (fun () ->
              Nodes.using [ "tables.names", "a,b" ] (fun node ->
                  task {
                      Expect.isEmpty node.Node.NotReadyReasons "ready"
                      let! ready = node.Rest "/readyz"
                      Expect.equal ready (200, "ready\n") "/readyz"
                      let! healthy = node.Rest "/healthz"
                      Expect.equal healthy (200, "ok\n") "/healthz"
                      let! code, _ = node.Rest "/nothing"
                      Expect.equal code 404 "anything else"
                      Expect.notEqual node.Node.ApiAddress.Port 0 "the port that the system chose"
                      Expect.isEmpty (node.Loggers.AtLeast LogLevel.Warning) "nothing to warn of"
                  }))

          Nodes.test "is not ready while a table has no leader, and says which" (fun () ->
              Nodes.using [ "tables.names", "a,b" ] (fun node ->
                  task {
                      node.Host.Set("b", Refuses(GroupFailure.NoLeader, "no leader"))
                      let! reply = node.Rest "/readyz"
                      Expect.equal reply (503, "waiting for leaders of 1 of 2 tables: b\n") "/readyz"
                      let! healthy = node.Rest "/healthz"
                      Expect.equal healthy (200, "ok\n") "alive all the same"
                      node.Host.Set("b", Works)
                      let! code, _ = node.Rest "/readyz"
                      Expect.equal code 200 "ready again"
                  }))

          Nodes.test "loses no acknowledged write when it is stopped under load, and stops in time" (fun () ->
              task {
                  use scratch = new Scratch()
                  let acknowledged = ConcurrentDictionary<string, string>()
                  let mutable stopped = TimeSpan.Zero

                  do!
                      task {
                          use! node = Nodes.start scratch.Path [ "tables.names", "t" ]

                          let writer (id: int) =
                              task {
                                  let mutable going = true
                                  let mutable i = 0

                                  while going do
                                      let key, value = $"w{id}-{i}", $"v{i}"
                                      i <- i + 1
                                      let! status = Status.ofCall (node.Put("t", key, value))

                                      if status.StatusCode = StatusCode.OK then acknowledged[key] <- value else going <- false
                              }

                          let writers = Task.WhenAll [ for id in 1..16 -> writer id ]

                          let enough =
                              task {
                                  while acknowledged.Count < 500 do
                                      do! Task.Yield()
                              }

                          do! enough
                          let clock = Stopwatch.StartNew()
                          do! node.Node.StopAsync()
                          stopped <- clock.Elapsed
                          let! exit = node.Node.Stopped
                          Expect.equal exit.Code 0 "a stop on request is no failure"
                          let! _ = writers
                          ()
                      }

                  Expect.isLessThan stopped (TimeSpan.FromSeconds 10.0) "within ten seconds"
                  use! node = Nodes.start scratch.Path []

                  for pair in acknowledged do
                      let! value = node.Get("t", pair.Key)
                      Expect.equal value (Some pair.Value) pair.Key
              })

          Nodes.test "stops once, however often it is asked, and gives its ports and directory back" (fun () ->
              task {
                  use scratch = new Scratch()
                  use! first = Nodes.start scratch.Path []
                  let address = first.Node.ApiAddress
                  do! Task.WhenAll [ for _ in 1..5 -> first.Node.StopAsync() ]
                  let! exit = first.Node.Stopped
                  Expect.equal exit.Code 0 "once"
                  use! second = Nodes.start scratch.Path [ "api.address", address.ToString() ]
                  Expect.equal second.Node.ApiAddress address "the same port"
              })

          Nodes.test "of a site of one is not started as one of several, nor the other way round" (fun () ->
              task {
                  use alone = new Scratch()
                  let members = "raft.initial-members", "1=127.0.0.1:1,2=127.0.0.1:2,3=127.0.0.1:3"

                  do!
                      task {
                          use! _ = Nodes.start alone.Path []
                          ()
                      }

                  let! refusal = startFails alone.Path [ members ]
                  Expect.stringContains refusal "belongs to a site of one node" "why"
                  use together = new Scratch()

                  using (Regatta.Storage.NodeDirectory.OpenInSite(together.Path, Regatta.Storage.NodeRole.Leader, 1L)) (fun directory ->
                      directory.Join(Guid.NewGuid(), Collections.Immutable.ImmutableArray.Create(directory.Identity.Store)))

                  let! refusal = startFails together.Path []
                  Expect.stringContains refusal "belongs to a node of a site of several nodes" "why"
              })

          Nodes.test "cuts calls off that do not end when it stops" (fun () ->
              task {
                  use scratch = new Scratch()
                  use! node = Nodes.start scratch.Path [ "tables.names", "t"; "api.default-deadline", "1h" ]
                  node.Host.Set("t", Hangs)
                  let call = Status.ofCall (node.Put("t", "k", "v"))
                  let mutable come = false

                  while not come do
                      let! _, metrics = node.Rest "/metrics"
                      come <- metrics.Contains putsStarted

                  use cut = new CancellationTokenSource()
                  let stop = node.Node.StopAsync cut.Token
                  Expect.isFalse stop.IsCompleted "it waits for the call"
                  cut.Cancel()
                  do! stop
                  let! status = call
                  Expect.notEqual status.StatusCode StatusCode.OK "the call did not succeed"
              })

          Nodes.test "stops by itself, with a code and the cause, when its storage fails" (fun () ->
              task {
                  use scratch = new Scratch()
                  use! node = Nodes.start scratch.Path [ "tables.names", "t" ]
                  node.Host.Fail "the log could not be synced: input/output error."
                  let! exit = node.Node.Stopped
                  Expect.equal exit.Code 1 "a failure"
                  Expect.stringContains exit.Reason "input/output error" "the cause"
                  let critical = node.Loggers.AtLeast LogLevel.Critical
                  Expect.hasLength critical 1 "said once, loudly"
                  Expect.stringContains critical[0].Message "input/output error" "with the cause"
                  let! status = Status.ofCall (node.Put("t", "k", "v"))
                  Expect.notEqual status.StatusCode StatusCode.OK "nothing is acknowledged any more"
              })

          Nodes.test "refuses a directory that another node uses, or that belongs to another one" (fun () ->
              task {
                  use scratch = new Scratch()
                  use! first = Nodes.start scratch.Path []
                  let! inUse = startFails scratch.Path []
                  Expect.stringContains inUse scratch.Path "it names the directory"
                  do! first.Node.StopAsync()
                  let! other = startFails scratch.Path [ "raft.node-id", "2" ]
                  Expect.stringContains other "node 1" "it names the owner"
                  use! again = Nodes.start scratch.Path []
                  Expect.isEmpty again.Node.NotReadyReasons "nothing was damaged by that"
              })

          Nodes.test "leaves nothing open when a port is taken" (fun () ->
              task {
                  use scratch = new Scratch()
                  use other = new Scratch()
                  use! first = Nodes.start other.Path []
                  let taken = first.Node.ApiAddress.ToString()
                  let! message = startFails scratch.Path [ "api.address", taken ]
                  Expect.stringContains message $"api.address: cannot listen on {taken}" "which option, which address"
                  use! _ = Nodes.start scratch.Path []
                  ()
              })

          Nodes.test "warns loudly when it can be reached from other machines without TLS" (fun () ->
              Nodes.using [ "api.address", "http://0.0.0.0:0" ] (fun node ->
                  task {
                      let warnings = node.Loggers.AtLeast LogLevel.Warning
                      Expect.hasLength warnings 1 "one warning"
                      Expect.stringContains warnings[0].Message "REACHABLE FROM OTHER MACHINES WITHOUT TLS" "loud"
                      Expect.stringContains warnings[0].Message "api.address" "which option"
                  }))

          Nodes.test "runs beside others in one process" (fun () ->
              Nodes.using [ "tables.names", "t" ] (fun one ->
                  Nodes.using [ "tables.names", "t"; "raft.node-id", "2" ] (fun two ->
                      task {
                          let! _ = one.Put("t", "k", "one")
                          let! value = two.Get("t", "k")
                          Expect.isNone value "they share nothing"
                          let! reply = two.Clients.Cluster.MemberListAsync(MemberListRequest())
                          Expect.equal (reply.Members[0].Id, reply.Members[0].Name) ("2", "node-2") "each is itself"
                      })))

          Nodes.test "Status fills every field, and shows the effective settings with secrets masked" (fun () ->
              Nodes.using [ "tables.token", "secret"; "tables.names", "t"; "memberlist.cluster-name", "here" ] (fun node ->
                  task {
                      for i in 1..100 do
                          let! _ = node.Put("t", $"k{i}", String('v', 1000))
                          ()

                      let! reply = node.Clients.Cluster.StatusAsync(StatusRequest(Config = true))
                      Expect.equal reply.Id "1" "id"
                      Expect.isNotEmpty reply.Version "version"
                      Expect.stringContains reply.Info "leader site" "info"
                      Expect.isEmpty reply.Errors "errors"
                      let table = reply.Tables["t"]
                      Expect.isGreaterThan table.LogSize 100000L "logSize"
                      Expect.isGreaterThan table.DbSize 100000L "dbSize"
                      Expect.equal table.Leader "1" "leader"
                      Expect.isGreaterThan table.RaftTerm 0UL "raftTerm"
                      Expect.equal table.Revision 100UL "revision"
                      Expect.isGreaterThanOrEqual table.RaftAppliedIndex 1UL "raftAppliedIndex"
                      Expect.isGreaterThanOrEqual table.RaftIndex table.RaftAppliedIndex "raftIndex"
                      Expect.equal table.LastLogIndex table.RaftIndex "lastLogIndex: one member commits what it logs"
                      Expect.isLessThanOrEqual table.FirstLogIndex table.LastLogIndex "firstLogIndex"
                      Expect.isLessThanOrEqual table.DurableIndex table.RaftAppliedIndex "durableIndex"
                      Expect.equal (table.HistoryId.Length, table.ChainHash.Length) (16, 16) "historyId and chainHash"
                      Expect.isGreaterThan table.Incarnation 0UL "incarnation"
                      Expect.equal table.GroupId (table.Incarnation + 10000UL) "groupId"
                      Expect.equal table.OldestRevision 1UL "oldestRevision"
                      let config = reply.Config.Fields
                      Expect.equal config["tables.token"].StringValue "**********" "secrets are masked"
                      Expect.equal config["limits.max-key-bytes"].NumberValue 1024.0 "numbers are numbers"
                      Expect.isTrue config["tables.enabled"].BoolValue "flags are flags"
                      Expect.equal config.Count OptionCatalog.All.Length "every option"
                      let! without = node.Clients.Cluster.StatusAsync(StatusRequest())
                      Expect.isNull without.Config "settings only when asked for"
                      let! members = node.Clients.Cluster.MemberListAsync(MemberListRequest())
                      Expect.equal members.Cluster "here" "the site's name"
                      Expect.sequenceEqual members.Members[0].ClientURLs [ node.Node.ApiAddress.ToString() ] "where clients reach it"
                      Expect.sequenceEqual members.Members[0].PeerURLs [ "127.0.0.1:8445" ] "where peers reach it"
                  }))

          Nodes.test "/metrics shows tables and calls in Prometheus' format" (fun () ->
              Nodes.using [ "tables.names", "t" ] (fun node ->
                  task {
                      let! _ = node.Put("t", "k", "v")
                      let! _ = Status.ofCall (node.Get("none", "k"))
                      let! code, text = node.Rest "/metrics"
                      Expect.equal code 200 "status"
                      let lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                      let group = (node.Host :> IGroupHost).OnDisk |> Seq.max
                      Expect.contains lines $"regatta_table_revision{{table=\"t\",shard_id=\"{group}\"}} 1" "a gauge of a table"
                      Expect.contains lines "regatta_ready 1" "a gauge of the node"
                      Expect.contains lines putsStarted "started"
                      let handled = "grpc_server_handled_total{grpc_service=\"regatta.v1.KV\",grpc_method="
                      Expect.contains lines (handled + "\"Put\",grpc_code=\"OK\"} 1") "handled"
                      Expect.contains lines (handled + "\"Range\",grpc_code=\"NotFound\"} 1") "failed"

                      Expect.contains
                          lines
                          "grpc_server_handling_seconds_count{grpc_service=\"regatta.v1.KV\",grpc_method=\"Put\"} 1"
                          "histogram"

                      Expect.exists lines (fun line -> line.StartsWith "regatta_raft_log_syncs_total ") "the engine's counters"

                      let sample =
                          Text.RegularExpressions.Regex "^[a-z_]+(\\{[a-z_]+=\"[^\"]*\"(,[a-z_]+=\"[^\"]*\")*\\})? -?[0-9.eE+-]+$"

                      for line in lines do
                          Expect.isTrue (line.StartsWith "# " || sample.IsMatch line) line
                  })) ]
