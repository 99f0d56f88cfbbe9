/// A follower site: what it has, what it passes on, and what it does without the leader site.
module Regatta.Node.Tests.FollowerTests

open System
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Node
open Regatta.Node.Tests.Followers
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Replication
open Regatta.Testing

let private t = Bytes.text "t"
type private State = Following.Types.State

let private put (node: RunningNode) key value =
    node.Clients.Kv.PutAsync(PutRequest(Table = t, Key = Bytes.text key, Value = Bytes.text value)).ResponseAsync

let private pulling =
    [ Nodes.test "has the leader site's tables and everything in them, at the same revisions and with the same hashes" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  for number in 1..20 do
                      let! _ = leader.Put("t", $"k{number % 7}", $"{number}")
                      ()

                  let! revision = leader.Put("t", "last", "one")
                  let! last = read follower "t" "last" revision
                  let! here = hash follower "t"
                  let! there = hash leader "t"
                  Expect.equal last (Some "one") "the last write"
                  Expect.equal here there "revision, content and history"
                  let! row = untilState follower "t" State.Following
                  Expect.equal (row.LeaderRevision, row.Reason, row.NodeId) (revision, "", 1UL) "the status"
                  Expect.equal (row.BehindBytes, row.BehindMs) (0UL, 0UL) "not behind"
                  let! _, text = follower.Rest "/metrics"
                  let lines = text.Split '\n'

                  for line in
                      [ $"regatta_replication_index{{role=\"follower\",table=\"t\"}} {revision}"
                        $"regatta_replication_index{{role=\"leader\",table=\"t\"}} {revision}"
                        "regatta_replication_behind_bytes{table=\"t\"} 0"
                        "regatta_replication_behind_milliseconds{table=\"t\"} 0"
                        "regatta_replication_state{state=\"following\",table=\"t\"} 1"
                        "regatta_replication_state{state=\"fenced\",table=\"t\"} 0" ] do
                      Expect.contains lines line "a gauge"

                  let! _, text = leader.Rest "/metrics"
                  Expect.isFalse (text.Contains "regatta_replication") "none at the leader site"
              }))

      Nodes.test "gets tables that are made later, loses those that are deleted, and takes one made again for a new one" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  let! first = leader.Create "other"
                  let! revision = leader.Put("other", "k", "old")
                  let! old = read follower "other" "k" revision
                  Expect.equal old (Some "old") "made later"
                  let! _ = leader.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "other"))
                  let! second = leader.Create "other"
                  let! revision = leader.Put("other", "new", "value")

                  let! group =
                      until (fun () ->
                          task {
                              let found = follower.Node.Served.Snapshot.Find "other" |> Option.ofObj
                              return found |> Option.map _.Group.GroupId |> Option.filter (fun group -> group <> first)
                          })

                  let! value = read follower "other" "new" revision
                  let! gone = follower.Get("other", "k")
                  Expect.equal group second "the new one's group"
                  Expect.equal (value, gone) (Some "value", None) "nothing of the old one"

                  let! dropped =
                      until (fun () ->
                          task {
                              return if (follower.Host :> Regatta.Raft.IGroupHost).OnDisk |> Seq.contains first then None else Some()
                          })

                  Expect.equal dropped () "the old one's data is deleted"
              }))

      Nodes.test "that starts before the leader site says what it waits for, and goes on when it comes" (fun () ->
          task {
              use home = new Scratch()
              use away = new Scratch()
              use relay = new Relay()
              let loggers = new RecordingLoggers()
              let starting = startLogging loggers away.Path relay.Address []
              use! leader = Nodes.start home.Path [ "tables.names", "t" ]

              do!
                  until (fun () ->
                      let said (entry: Logged) = entry.Message.Contains "The first start of a follower site waits for the leader site"

                      task { return if loggers.Entries |> Seq.exists said then Some() else None })

              Expect.isFalse starting.IsCompleted "waits, and said why"
              let! revision = leader.Put("t", "k", "v")
              relay.LeadTo(portOf leader)
              use! follower = starting
              let! value = read follower "t" "k" revision
              Expect.equal value (Some "v") "followed"
          })

      Nodes.test "goes on at the next revision after its link was cut at any byte, again and again" (fun () ->
          using [] (fun leader relay follower ->
              task {
                  let draw = Random Regatta.Testing.Seed.current
                  relay.CutAtRandom(draw, 20_000)
                  relay.Break()
                  let mutable revision = 0UL

                  for number in 1..400 do
                      let! reached = leader.Put("t", $"k{draw.Next 50}", String('v', draw.Next 500))
                      revision <- reached

                      if number % 40 = 0 then relay.Break()

                  let! _ = leader.Put("t", "last", "one")
                  relay.CutAfter None
                  relay.Break()
                  let! last = read follower "t" "last" (revision + 1UL)
                  Expect.equal last (Some "one") "converged"
                  let! here = hash follower "t"
                  let! there = hash leader "t"
                  Expect.equal here there $"revision, content and history (seed {Regatta.Testing.Seed.current})"
              }))

      Nodes.test "starts and serves what it has while the leader site is away, and catches up when it is back" (fun () ->
          task {
              use home = new Scratch()
              use away = new Scratch()
              use relay = new Relay()
              use! leader = Nodes.start home.Path [ "tables.names", "t" ]
              relay.LeadTo(portOf leader)
              let! first = start away.Path relay.Address []
              let! revision = leader.Put("t", "k", "v")
              let! _ = read first "t" "k" revision
              relay.Close()
              do! (first :> IAsyncDisposable).DisposeAsync()
              let! _ = leader.Put("t", "k", "w")
              use! second = start away.Path relay.Address []
              let! value = second.Get("t", "k")
              Expect.equal value (Some "v") "what it has"
              let! waiting = untilState second "t" State.LeaderUnreachable
              Expect.stringContains waiting.Reason "leader site" "says why"
              relay.LeadTo(portOf leader)
              let! value = read second "t" "k" (revision + 1UL)
              Expect.equal value (Some "w") "caught up"
          }) ]

let private writing =
    [ Nodes.test "passes writes on, and has them when it answers" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  let! _ = leader.Put("t", "first", "one")
                  let! _ = read follower "t" "first" 1UL
                  let! reply = put follower "k" "v"
                  let! here = follower.Get("t", "k")
                  let! there = leader.Get("t", "k")
                  Expect.equal (here, there) (Some "v", Some "v") "put"
                  Expect.equal reply.Header.Revision 2UL "the leader site's revision"
                  let delete = DeleteRangeRequest(Table = t, Key = Bytes.text "k", Count = true)
                  let! deleted = follower.Clients.Kv.DeleteRangeAsync delete
                  let! here = follower.Get("t", "k")
                  Expect.equal (deleted.Deleted, here) (1L, None) "deleted"
                  let txn = TxnRequest(Table = t)
                  txn.Success.Add(RequestOp(RequestPut = RequestOp.Types.Put(Key = Bytes.text "k", Value = Bytes.text "w")))
                  let! done' = follower.Clients.Kv.TxnAsync txn
                  let! here = follower.Get("t", "k")
                  Expect.equal (done'.Succeeded, done'.Header.Revision, here) (true, 4UL, Some "w") "a transaction"
              }))

      Nodes.test "has what it wrote to a table that it did not know before" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  let! _ = leader.Create "young"
                  let request = PutRequest(Table = Bytes.text "young", Key = Bytes.text "k", Value = Bytes.text "v")
                  let! _ = follower.Clients.Kv.PutAsync request
                  let! here = follower.Get("young", "k")
                  Expect.equal here (Some "v") "there at once"
              }))

      Nodes.test "gives the leader site's errors as its own, and says whose they are" (fun () ->
          using [] (fun _ _ follower ->
              task {
                  let! unknown =
                      Status.ofCall (follower.Clients.Kv.PutAsync(PutRequest(Table = Bytes.text "none", Key = t)).ResponseAsync)

                  let! tooLong =
                      Status.ofCall (follower.Clients.Kv.PutAsync(PutRequest(Table = t, Key = Bytes.ofLength 1025)).ResponseAsync)

                  Expect.equal (unknown.StatusCode, unknown.Detail) (StatusCode.NotFound, "leader error: table not found") "no table"
                  Expect.equal tooLong.StatusCode StatusCode.FailedPrecondition "too long"
                  Expect.stringStarts tooLong.Detail "leader error: key length exceeded max allowed value" "the leader's sentence"
              }))

      Nodes.test "without the leader site, reads go on and writes fail at once, with nothing kept" (fun () ->
          using [] (fun leader relay follower ->
              task {
                  let! revision = leader.Put("t", "k", "v")
                  let! _ = read follower "t" "k" revision
                  relay.Close()
                  let! _ = untilState follower "t" State.LeaderUnreachable
                  let! status = Status.ofCall (put follower "k" "w")
                  Expect.isTrue (status.StatusCode = StatusCode.Unavailable || status.StatusCode = StatusCode.Unknown) $"{status}"
                  let! serializable = follower.Get("t", "k")
                  let! linearizable = follower.Clients.Kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.text "k", Linearizable = true))
                  Expect.equal (serializable, linearizable.Kvs[0].Value.ToStringUtf8()) (Some "v", "v") "reads"
                  let txn = TxnRequest(Table = t)
                  txn.Success.Add(RequestOp(RequestRange = RequestOp.Types.Range(Key = Bytes.text "k")))
                  let! reading = follower.Clients.Kv.TxnAsync txn
                  Expect.equal reading.Responses.Count 1 "a transaction that only reads"
                  relay.LeadTo(portOf leader)
                  let! _ = untilState follower "t" State.Following
                  let! value = leader.Get("t", "k")
                  Expect.equal value (Some "v") "the write that failed was not kept for later"
              }))

      Nodes.test "where nobody listens a write is refused with UNAVAILABLE, and it is said that nothing was written" (fun () ->
          task {
              use home = new Scratch()
              use away = new Scratch()
              let! leader = Nodes.start home.Path [ "tables.names", "t" ]
              use! follower = start away.Path (string leader.Node.ReplicationAddress) []
              let! revision = leader.Put("t", "k", "v")
              let! _ = read follower "t" "k" revision
              do! (leader :> IAsyncDisposable).DisposeAsync()
              let! _ = untilState follower "t" State.LeaderUnreachable
              let! status = Status.ofCall (put follower "k" "w")
              Expect.equal status.StatusCode StatusCode.Unavailable "at once"
              Expect.stringContains status.Detail "connection refused" "why"
              Expect.stringContains status.Detail "nothing was written" "what became of it"
          })

      Nodes.test "a write that has not come here by the deadline is said to be done, with its revision" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  let! revision = leader.Put("t", "k", "v")
                  let! _ = read follower "t" "k" revision
                  // The follower's own group stands still, so nothing arrives. The node's own deadline: a client's might pass before it has heard the node.
                  follower.Host.Set("t", Hangs)
                  let! status = Status.ofCall (put follower "k" "w")
                  Expect.equal status.StatusCode StatusCode.DeadlineExceeded "the deadline"
                  Expect.stringContains status.Detail "done at the leader site, at revision 2" "what became of it"
                  let! there = leader.Get("t", "k")
                  Expect.equal there (Some "w") "it is"
              }))

      Nodes.test "changes no tables" (fun () ->
          using [] (fun _ _ follower ->
              task {
                  let! create = Status.ofCall (follower.Clients.Tables.CreateAsync(CreateTableRequest(Name = "x")).ResponseAsync)
                  let! delete = Status.ofCall (follower.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "t")).ResponseAsync)

                  for status, method in [ create, "Create"; delete, "Delete" ] do
                      Expect.equal status.StatusCode StatusCode.Unimplemented method
                      Expect.stringStarts status.Detail $"method {method} not implemented for follower" method
              })) ]

let tests = testList "A follower site" [ testList "follows:" pulling; testList "and writes:" writing ]
