/// A follower site of ours under a leader site of the Go project.
module Regatta.Node.Tests.GoLeaderTests

open System
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Node.Tests.Followers
open Regatta.Node.Tests.GoSites
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Replication
open Regatta.Testing

type private State = Following.Types.State

let private t = Bytes.text "t"

let private pulling =
    [ Nodes.test "has what every kind of command makes, at the same revisions, also where some are left out" (fun () ->
          using (fun _ table _ follower ->
              task {
                  let draw = Random Seed.current

                  for _ in 1..300 do
                      if draw.Next 10 = 0 then table.Skip(draw.Next 50)
                      table.Append(anyCommand draw) |> ignore

                  do! expectEqual table follower
                  let! row = untilState follower "t" State.Following
                  Expect.equal (row.LeaderRevision, row.Reason) (table.Applied, "") "the status"
              }))

      Nodes.test "takes every revision once, however its streams end" (fun () ->
          using (fun leader table relay follower ->
              task {
                  let draw = Random Seed.current

                  leader.State.Onwards <-
                      fun () ->
                          match lock draw (fun () -> draw.Next 3) with
                          | 0 -> Stops
                          | 1 -> Breaks
                          | _ -> Goes

                  relay.CutAtRandom(draw, 5_000)
                  relay.Break()

                  for number in 1..200 do
                      table.Append(lock draw (fun () -> anyCommand draw)) |> ignore
                      if number % 40 = 0 then relay.Break()
                      do! Task.Yield()

                  do! expectEqual table follower
              }))

      Nodes.test "gets tables that are made later, keeps those that disappear, and says which it cannot have" (fun () ->
          using (fun leader table _ follower ->
              task {
                  let revision = put table "k" "v"
                  let! _ = read follower "t" "k" revision
                  let young = leader.State.Add "young"
                  leader.State.Add "no/table" |> ignore
                  let revision = put young "k" "w"
                  let! value = read follower "young" "k" revision
                  Expect.equal value (Some "w") "made later"
                  leader.State.Remove "t"
                  // Asked for at the leader site, and not there: so the list without it has been read, too.
                  let! gone = untilState follower "t" State.Refused
                  Expect.stringContains gone.Reason "table not found" "says why"
                  let! _ = read follower "later" "k" (put (leader.State.Add "later") "k" "v")
                  let! kept = follower.Get("t", "k")
                  let! listed = follower.Clients.Tables.ListAsync(ListTablesRequest())
                  Expect.equal kept (Some "v") "what it had"
                  Expect.equal [ for table in listed.Tables -> table.Name ] [ "later"; "t"; "young" ] "its tables"
                  Expect.equal (said follower "no/table") 1 "once, although it was asked for many times"
              }))

      Nodes.test "waits for a leader site that is behind, and for a snapshot, and keeps what it has" (fun () ->
          using (fun leader table _ follower ->
              task {
                  let revision = put table "k" "v"
                  let! _ = read follower "t" "k" revision
                  let back = GoTable table.Id
                  leader.State.Put("t", back)
                  let! behind = untilState follower "t" State.LeaderBehind
                  Expect.stringContains behind.Reason $"this site has revision {revision} and the leader site 0" "says where both stand"
                  leader.State.Put("t", table)
                  let! _ = untilState follower "t" State.Following
                  table.First <- 100UL
                  let! _ = untilState follower "t" State.Snapshot
                  let! kept = follower.Get("t", "k")
                  Expect.equal kept (Some "v") "what it had"
                  table.First <- 1UL
                  do! expectEqual table follower
              }))

      Nodes.test "asks for the tables at once, and not before the next time is due" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  let revision = put (leader.State.Add "t") "k" "v"
                  use! follower = start away.Path relay.Address [ "replication.reconcile-interval", "1h" ]
                  let! value = read follower "t" "k" revision
                  Expect.equal value (Some "v") "there"
                  let! row = untilState follower LeaderTables.Catalogue State.Following
                  Expect.equal row.Reason "" "the list"
              }))

      Nodes.test "starts and serves what it has while the leader site is away, and catches up when it is back" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  let table = leader.State.Add "t"
                  let! first = start away.Path relay.Address often
                  let! _ = read first "t" "k" (put table "k" "v")
                  relay.Close()
                  do! (first :> IAsyncDisposable).DisposeAsync()
                  let! _ = Task.FromResult(put table "k" "w")
                  use! second = start away.Path relay.Address often
                  let! value = second.Get("t", "k")
                  Expect.equal value (Some "v") "what it has"
                  let! waiting = untilState second "t" State.LeaderUnreachable
                  Expect.stringContains waiting.Reason "leader site" "says why"
                  let! _ = untilState second LeaderTables.Catalogue State.LeaderUnreachable
                  relay.LeadTo(Some leader.Port)
                  do! expectEqual table second
              })) ]

let private writing =
    [ Nodes.test "says that a write is done whose table has not come when the node stops" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  use! follower = start away.Path relay.Address [ "replication.reconcile-interval", "1h"; "api.default-deadline", "1h" ]
                  let! _ = untilState follower LeaderTables.Catalogue State.Following
                  let table = leader.State.Add "t"
                  let writing = Status.ofCall (follower.Put("t", "k", "v"))
                  let! _ = until (fun () -> task { return if table.Rows.IsEmpty then None else Some() })
                  do! follower.Node.StopAsync()
                  let! status = writing
                  Expect.equal status.StatusCode StatusCode.Unknown "a session could not go on with it"
                  Expect.stringContains status.Detail "the write is done at the leader site" "what has happened"
              }))

      Nodes.test "passes writes on, and has them when it answers" (fun () ->
          using (fun leader _ _ follower ->
              task {
                  let! revision = follower.Put("t", "k", "v")
                  let! here = follower.Get("t", "k")
                  Expect.equal (revision, here) (1UL, Some "v") "put"
                  let delete = DeleteRangeRequest(Table = t, Key = Bytes.text "k", Count = true)
                  let! deleted = follower.Clients.Kv.DeleteRangeAsync delete
                  let! here = follower.Get("t", "k")
                  Expect.equal (deleted.Deleted, here) (1L, None) "deleted"
                  let txn = TxnRequest(Table = t)
                  txn.Success.Add(RequestOp(RequestPut = RequestOp.Types.Put(Key = Bytes.text "k", Value = Bytes.text "w")))
                  let! changed = follower.Clients.Kv.TxnAsync txn
                  let! here = follower.Get("t", "k")
                  Expect.equal (changed.Succeeded, changed.Header.Revision, here) (true, 3UL, Some "w") "a transaction"
                  // Nothing to do in the branch that is taken, and a revision of 0 in the answer.
                  txn.Compare.Add(Compare(Key = Bytes.text "none"))
                  let! idle = follower.Clients.Kv.TxnAsync txn
                  Expect.equal (idle.Succeeded, idle.Header.Revision) (false, 0UL) "answered"
                  leader.State.Add "young" |> ignore
                  let! _ = follower.Put("young", "k", "v")
                  let! here = follower.Get("young", "k")
                  Expect.equal here (Some "v") "in a table that was not here before"
              }))

      Nodes.test "gives the leader site's errors as its own, and says whose they are" (fun () ->
          using (fun leader table _ follower ->
              task {
                  let! unknown = Status.ofCall (follower.Put("none", "k", "v"))
                  Expect.equal (unknown.StatusCode, unknown.Detail) (StatusCode.NotFound, "leader error: table not found") "no table"
                  let! unset = Status.ofCall (follower.Put("", "k", "v"))

                  Expect.equal
                      (unset.StatusCode, unset.Detail)
                      (StatusCode.InvalidArgument, "leader error: table must be set")
                      "none named"

                  let odd = leader.State.Add "no/table"
                  let! never = Status.ofCall (follower.Put("no/table", "k", "v"))
                  Expect.equal never.StatusCode StatusCode.NotFound "a table that can never be here"
                  Expect.stringContains never.Detail "write to the leader site" "says what to do"
                  Expect.equal (odd.Applied, table.Applied) (0UL, 0UL) "nothing was written"
              }))

      Nodes.test "does not repeat a write that the leader site may have done" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  let table = leader.State.Add "t"
                  use! follower = start away.Path $"{relay.Address},http://127.0.0.1:{leader.Port}" often
                  let! _ = follower.Put("t", "k", "v")
                  leader.State.WriteStatus <- Some(Status(StatusCode.Unavailable, "timeout"))
                  let! status = Status.ofCall (follower.Put("t", "k", "w"))
                  Expect.equal (status.StatusCode, status.Detail) (StatusCode.Unavailable, "leader error: timeout") "its words"
                  Expect.equal table.Applied 2UL "once"
              }))

      Nodes.test "a write that has not come here by the deadline is said to be done, with its revision" (fun () ->
          using (fun leader _ _ follower ->
              task {
                  let! _ = follower.Put("t", "k", "v")
                  let gate = TaskCompletionSource()
                  leader.State.Gate <- gate.Task
                  let request = PutRequest(Table = t, Key = Bytes.text "k", Value = Bytes.text "w")
                  // A stream that began before the gate was closed may still bring one. The node's own deadline: a client's might pass before it has heard
                  // the node.
                  let write () = Status.ofCall (follower.Clients.Kv.PutAsync(request).ResponseAsync)

                  let! _ = write ()
                  let! status = write ()
                  Expect.equal status.StatusCode StatusCode.DeadlineExceeded "the deadline"
                  Expect.stringContains status.Detail "done at the leader site, at revision 3" "what became of it"
                  gate.SetResult()
              })) ]

let tests =
    testList "A follower site under a leader site of the Go project" [ testList "follows:" pulling; testList "and writes:" writing ]
