module Regatta.Node.Tests.TablesTests

open System
open System.Collections.Generic
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Node
open Regatta.Protocol.V1
open Regatta.Raft
open Regatta.Storage

let private names (node: RunningNode) =
    task {
        let! reply = node.Clients.Tables.ListAsync(ListTablesRequest())
        return [ for table in reply.Tables -> table.Name, int64 table.Id ]
    }

let private drop (node: RunningNode) (table: string) = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = table)).ResponseAsync

let private incarnation (node: RunningNode) (table: string) =
    task {
        let! reply = node.Clients.Cluster.StatusAsync(StatusRequest())
        return reply.Tables[table].Incarnation
    }

let private onDisk (node: RunningNode) = List.sort (List.ofSeq (node.Host :> Regatta.Raft.IGroupHost).OnDisk)

/// Why it does not start.
let private notStarted (prepare: FaultyHost -> unit) path =
    task {
        try
            use! _ = Nodes.startWith prepare path []
            return "it started"
        with :? NodeStartException as e ->
            return e.Message
    }

let tests =
    testList
        "Tables"
        [ Nodes.test "the list is sorted by name, and a table can be written to as soon as it is created" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      let! b = node.Create "b"
                      let! a = node.Create "a"
                      let! _ = node.Put("b", "k", "v")
                      let! listed = names node
                      Expect.equal listed [ "a", a; "b", b ] "sorted, with their ids"
                      Expect.isGreaterThan b 10000L "tables count from 10001"
                      Expect.notEqual a b "each its own group"
                  }))

          Nodes.test "a table that is deleted and made again is empty, has a new group and a higher incarnation" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      let! first = node.Create "t"
                      let! _ = node.Put("t", "k", "old")
                      let! before = incarnation node "t"
                      let! _ = drop node "t"
                      let! gone = Status.ofCall (node.Get("t", "k"))
                      Expect.equal gone.StatusCode StatusCode.NotFound "a deleted table is unknown"
                      Expect.equal (onDisk node) [ 1L ] "its data is gone when the call is answered"
                      let! second = node.Create "t"
                      Expect.isGreaterThan second first "a group id never comes back"
                      let! after = incarnation node "t"
                      Expect.isGreaterThan after before "a new life"
                      let! value = node.Get("t", "k")
                      Expect.isNone value "nothing of the old life"
                      let! revision = node.Put("t", "k", "new")
                      Expect.equal revision 1UL "revisions begin again"
                  }))

          Nodes.test "of many who create one name at a time exactly one succeeds" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      let create () = Status.ofCall (node.Clients.Tables.CreateAsync(CreateTableRequest(Name = "t")).ResponseAsync)
                      let! all = Task.WhenAll [ for _ in 1..20 -> create () ]
                      let won, lost = all |> Array.partition (fun status -> status.StatusCode = StatusCode.OK)
                      Expect.hasLength won 1 "one winner"
                      Expect.all lost (fun status -> status.Detail = "table already exists") "the others are told why"
                      let! _ = node.Put("t", "k", "v")
                      ()
                  }))

          Nodes.test "of many who delete one table at a time exactly one succeeds" (fun () ->
              Nodes.using [ "tables.names", "t" ] (fun node ->
                  task {
                      let! all = Task.WhenAll [ for _ in 1..20 -> Status.ofCall (drop node "t") ]
                      let won, lost = all |> Array.partition (fun status -> status.StatusCode = StatusCode.OK)
                      Expect.hasLength won 1 "one winner"
                      Expect.all lost (fun status -> status.Detail = "table not found") "the others are told why"
                  }))

          Nodes.test "calls on a table that is deleted meanwhile end with a status, never otherwise" (fun () ->
              Nodes.using [ "tables.names", "t" ] (fun node ->
                  task {
                      let mutable going = true

                      let write () =
                          task {
                              let seen = List<Status>()

                              while going do
                                  let! status = Status.ofCall (node.Put("t", "k", "v"))
                                  seen.Add status

                              return seen
                          }

                      let writers = Task.WhenAll [ for _ in 1..8 -> write () ]
                      let! _ = node.Put("t", "k", "v")
                      let! _ = drop node "t"
                      going <- false
                      let! seen = writers
                      let codes = seen |> Seq.concat |> Seq.map _.StatusCode |> Seq.distinct |> List.ofSeq
                      let allowed = [ StatusCode.OK; StatusCode.NotFound; StatusCode.Unavailable; StatusCode.Unknown ]
                      Expect.isEmpty (List.except allowed codes) "only these make sense"
                      Expect.isEmpty (node.Loggers.AtLeast Microsoft.Extensions.Logging.LogLevel.Error) "no error of the node"
                  }))

          Nodes.test "a restart keeps tables, data, revisions and incarnations" (fun () ->
              task {
                  use scratch = new Scratch()
                  let mutable before = Unchecked.defaultof<StatusResponse>

                  do!
                      task {
                          use! node = Nodes.start scratch.Path []
                          let! _ = node.Create "a"
                          let! _ = node.Create "b"
                          let! _ = node.Create "c"
                          let! _ = drop node "b"

                          for i in 1..50 do
                              let! _ = node.Put("a", $"k{i}", $"v{i}")
                              ()

                          let! status = node.Clients.Cluster.StatusAsync(StatusRequest())
                          before <- status
                      }

                  use! node = Nodes.start scratch.Path []
                  let! after = node.Clients.Cluster.StatusAsync(StatusRequest())
                  Expect.equal (List.ofSeq after.Tables.Keys) (List.ofSeq before.Tables.Keys) "the tables"

                  for name in before.Tables.Keys do
                      let was, is = before.Tables[name], after.Tables[name]
                      Expect.equal (is.Revision, is.Incarnation, is.ChainHash) (was.Revision, was.Incarnation, was.ChainHash) name

                  let! value = node.Get("a", "k50")
                  Expect.equal value (Some "v50") "the data"
                  let! revision = node.Put("a", "k", "v")
                  Expect.equal revision 51UL "revisions go on"
                  let! status = Status.ofCall (node.Get("b", "k"))
                  Expect.equal status.StatusCode StatusCode.NotFound "what was deleted stays so"
              })

          Nodes.test "a table whose creation was recorded before a crash is there after it" (fun () ->
              task {
                  use scratch = new Scratch()

                  do!
                      task {
                          use! node = Nodes.startWith (fun host -> host.Damage("late", "not started")) scratch.Path []
                          let! status = Status.ofCall (node.Create "late")
                          Expect.equal status.StatusCode StatusCode.DataLoss "recorded, not started"
                      }

                  use! node = Nodes.start scratch.Path []
                  let! revision = node.Put("late", "k", "v")
                  Expect.equal revision 1UL "the next start makes it"
              })

          Nodes.test "a deletion that was recorded and not carried out before a crash is carried out after it" (fun () ->
              task {
                  use scratch = new Scratch()
                  let mutable group = 0L

                  do!
                      task {
                          use! node = Nodes.start scratch.Path []
                          let! created = node.Create "t"
                          group <- created
                          let! _ = node.Put("t", "k", "v")
                          node.Host.KeepOnDrop <- true
                          let! _ = drop node "t"
                          Expect.contains (onDisk node) group "as after a crash between record and deletion"
                      }

                  use! node = Nodes.start scratch.Path []
                  Expect.equal (onDisk node) [ 1L ] "its data is gone"
              })

          Nodes.test "data that the catalogue does not know is set aside, and never becomes the next table's" (fun () ->
              task {
                  use scratch = new Scratch()

                  let history =
                      use directory = NodeDirectory.Open(scratch.Path, NodeRole.Leader, 1L, Nullable())
                      directory.Identity.History

                  do!
                      task {
                          // What the first table will be, as if the catalogue had been put back to before it.
                          use! node = Nodes.start scratch.Path []
                          let spec = Regatta.Raft.GroupSpec(10001L, "stray", Regatta.Core.Incarnation(history, 1L))
                          let! group = (node.Host :> Regatta.Raft.IGroupHost).StartAsync(spec, Threading.CancellationToken.None)
                          let old = ReadOnlyMemory "old"B
                          let! outcome = group.ProposeAsync(Regatta.Core.PutCommand(old, old, false), Threading.CancellationToken.None)
                          Expect.isNotNull outcome.Result "written"
                      }

                  use! node = Nodes.start scratch.Path [ "tables.names", "first" ]
                  Expect.equal (onDisk node) [ 1L; 10001L ] "the number is the new table's"
                  let! value = node.Get("first", "old")
                  Expect.isNone value "the new table is empty"
                  let aside = IO.Path.Combine(scratch.Path, "aside", "10001")
                  Expect.isTrue (IO.Directory.Exists(IO.Path.Combine(aside, "state"))) "the old data is kept"

                  let warned =
                      node.Loggers.AtLeast Microsoft.Extensions.Logging.LogLevel.Warning
                      |> Array.filter (fun entry -> entry.Message.Contains aside)

                  Expect.hasLength warned 1 "one warning, which says where"
              })

          Nodes.test "a node does not start with data that it cannot set aside" (fun () ->
              task {
                  use scratch = new Scratch()

                  do!
                      task {
                          use! node = Nodes.start scratch.Path []
                          let spec = Regatta.Raft.GroupSpec(10001L, "stray", Regatta.Core.Incarnation(Guid.NewGuid(), 1L))
                          let! _ = (node.Host :> Regatta.Raft.IGroupHost).StartAsync(spec, Threading.CancellationToken.None)
                          ()
                      }

                  IO.File.WriteAllText(IO.Path.Combine(scratch.Path, "aside"), "a file where the directory should be")

                  let! reason = notStarted ignore scratch.Path

                  Expect.stringContains reason "group 10001" "which"
                  Expect.stringContains reason "could not be set aside" "why"
                  Expect.isTrue (IO.Directory.Exists(IO.Path.Combine(scratch.Path, "tables", "10001"))) "still there"
              })

          Nodes.test
              "a table that waits for other nodes does not hide that another one's disk has failed, nor does the end of all groups"
              (fun () ->
                  task {
                      for isWhole, why in [ false, "Input/output error"; true, "the disk is gone" ] do
                          use scratch = new Scratch()

                          do!
                              task {
                                  use! _ = Nodes.start scratch.Path [ "tables.names", "waits,fails" ]
                                  ()
                              }

                          let prepare (host: FaultyHost) =
                              host.Waits <- Some "waits"
                              host.Fails <- Some "fails"
                              host.FailsAsAWhole <- isWhole

                          let! reason = notStarted prepare scratch.Path

                          Expect.stringContains reason why "why it does not start"
                  })

          Nodes.test "a disk that fails while the node waits for the catalogue is told as the reason" (fun () ->
              task {
                  use scratch = new Scratch()

                  let prepare (host: FaultyHost) =
                      host.Set("catalogue", Refuses(GroupFailure.Stopped, "The table's group has stopped."))
                      host.Fail "the disk is gone"

                  let! reason = notStarted prepare scratch.Path

                  Expect.equal reason "the disk is gone" "why it does not start"
              })

          Nodes.test "a table whose making waits for other nodes is known to be made when the node stops" (fun () ->
              task {
                  use scratch = new Scratch()
                  use! node = Nodes.startWith (fun host -> host.Waits <- Some "waits") scratch.Path []
                  let creating = Status.ofCall (node.Create "waits")
                  do! node.Host.HasToWait.Task
                  do! node.Node.StopAsync()
                  let! status = creating
                  Expect.equal status.StatusCode StatusCode.Unknown "not one that says that nothing has happened"
                  Expect.stringContains status.Detail "this node is stopping: table 'waits' is created" "what has"
              })

          Nodes.test "a table that is made and has no leader is known to be made" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      node.Host.Set("t", Refuses(GroupFailure.NoLeader, "no leader is known; nothing happened, try again."))
                      let! status = Status.ofCall (node.Create "t")
                      Expect.equal status.StatusCode StatusCode.Unknown "not one that says that nothing has happened"
                      Expect.equal status.Detail "table 't' is created, but does not accept writes yet" "what has"
                  }))

          Nodes.test "a table that is deleted while its start waits for other nodes is not waited for" (fun () ->
              task {
                  use scratch = new Scratch()
                  use! node = Nodes.startWith (fun host -> host.Waits <- Some "waits") scratch.Path []
                  let creating = node.Create "waits"
                  do! node.Host.HasToWait.Task
                  let! _ = drop node "waits"
                  let! _ = creating
                  let! _ = node.Create "next"
                  let! listed = names node
                  Expect.equal (List.map fst listed) [ "next" ] "and the next one is served"
              })

          Nodes.test "a damaged table does not keep the others from being served, and can be deleted and made again" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      let! _ = node.Create "good"
                      node.Host.Damage("bad", "its file is damaged")
                      let! status = Status.ofCall (node.Create "bad")
                      Expect.equal status.StatusCode StatusCode.DataLoss "created, and damaged at once"
                      let! _ = node.Put("good", "k", "v")
                      let! reply = node.Clients.Cluster.StatusAsync(StatusRequest())
                      Expect.sequenceEqual reply.Errors [ "table 'bad' cannot be opened: its file is damaged" ] "it is named"
                      let! code, reasons = node.Rest "/readyz"
                      Expect.equal (code, reasons) (503, "table 'bad' cannot be opened: its file is damaged\n") "not ready"
                      let! _ = drop node "bad"
                      node.Host.Repair "bad"
                      let! _ = node.Create "bad"
                      let! _ = node.Put("bad", "k", "v")
                      let! code, _ = node.Rest "/readyz"
                      Expect.equal code 200 "ready again"
                  }))

          Nodes.test "the catalogue is no table for clients" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      let! status = Status.ofCall (node.Get("catalogue", "table/t"))
                      Expect.equal status.StatusCode StatusCode.NotFound "not even to read"
                      let! _ = node.Create "catalogue"
                      let! _ = node.Put("catalogue", "k", "v")
                      let! listed = names node
                      Expect.hasLength listed 1 "a table of that name is one like any other"
                  })) ]
