/// A follower site of ours under a leader site of the Go project.
module Regatta.Node.Tests.GoLeaderTests

open System
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Microsoft.Extensions.Logging
open Regatta.Node
open Regatta.Node.Tests.Followers
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Replication
open Regatta.Testing

type private State = Following.Types.State
type private Kind = Command.Types.CommandType

let private t = Bytes.text "t"
let private often = [ "replication.poll-interval", "10ms"; "replication.reconcile-interval", "20ms" ]

/// A leader site with the table `t`, the way to it, and a directory for a follower.
let private withLeader (body: GoLeader -> Relay -> Scratch -> Task<unit>) =
    task {
        use away = new Scratch()
        use relay = new Relay()
        use! leader = GoLeader.Start()
        relay.LeadTo(Some leader.Port)
        do! body leader relay away
    }

let private using (body: GoLeader -> GoTable -> Relay -> RunningNode -> Task<unit>) =
    withLeader (fun leader relay away ->
        task {
            let table = leader.State.Add "t"
            use! follower = start away.Path relay.Address often
            do! body leader table relay follower
        })

let private pair (key: string) (value: string) = KeyValue(Key = Bytes.text key, Value = Bytes.text value)
let private put (table: GoTable) key value = table.Append(Command(Type = Kind.Put, Kv = pair key value)) |> fst

/// A command of any kind, on the keys `k0` to `k9`.
let private anyCommand (draw: Random) =
    let key () = Bytes.text $"k{draw.Next 10}"
    let anyPair () = KeyValue(Key = key (), Value = Bytes.text (String('v', draw.Next 20)))

    /// A later key, or all that follow.
    let rangeEnd (key: ByteString) = if draw.Next 4 = 0 then Bytes.zero else Bytes.text $"k{int (key[1] - byte '0') + draw.Next 5}z"

    let operation () : RequestOp =
        match draw.Next 4 with
        | 0 ->
            let from = key ()
            let until = if draw.Next 2 = 0 then ByteString.Empty else rangeEnd from
            RequestOp(RequestDeleteRange = RequestOp.Types.DeleteRange(Key = from, RangeEnd = until))
        | 1 -> RequestOp(RequestRange = RequestOp.Types.Range(Key = key ()))
        | _ -> RequestOp(RequestPut = RequestOp.Types.Put(Key = key (), Value = Bytes.text (String('w', draw.Next 20))))

    let condition () =
        let compare = Compare(Key = key (), Result = enum<Compare.Types.CompareResult>(draw.Next 4))
        if draw.Next 4 > 0 then compare.Value <- Bytes.text (String('v', draw.Next 20))
        if draw.Next 4 = 0 then compare.RangeEnd <- rangeEnd compare.Key
        compare

    match draw.Next 8 with
    | 0 -> Command(Type = Kind.Dummy)
    | 1 -> Command(Type = Kind.Delete, Kv = KeyValue(Key = key ()))
    | 2 ->
        let from = key ()
        Command(Type = Kind.Delete, Kv = KeyValue(Key = from), RangeEnd = rangeEnd from)
    | 3 ->
        let command = Command(Type = Kind.PutBatch)
        command.Batch.AddRange(Seq.init (draw.Next 5) (fun _ -> anyPair ()))
        command
    | 4 ->
        let command = Command(Type = Kind.DeleteBatch)
        command.Batch.AddRange(Seq.init (draw.Next 3) (fun _ -> KeyValue(Key = key ())))
        command
    | 5
    | 6 ->
        let txn = Txn()
        txn.Compare.AddRange(Seq.init (draw.Next 3) (fun _ -> condition ()))
        txn.Success.AddRange(Seq.init (draw.Next 4) (fun _ -> operation ()))
        txn.Failure.AddRange(Seq.init (draw.Next 4) (fun _ -> operation ()))
        Command(Type = Kind.Txn, Txn = txn)
    | _ -> Command(Type = Kind.Put, Kv = anyPair ())

let private content (node: RunningNode) (table: string) =
    task {
        let! reply = node.Clients.Kv.RangeAsync(RangeRequest(Table = Bytes.text table, Key = Bytes.zero, RangeEnd = Bytes.zero))
        return reply.Header.Revision, [ for pair in reply.Kvs -> Convert.ToHexString pair.Key.Span, Convert.ToHexString pair.Value.Span ]
    }

/// Writes a last key, and compares when the follower has it.
let private expectEqual (table: GoTable) (follower: RunningNode) =
    task {
        let last = put table "last" "one"
        let! _ = read follower "t" "last" last
        let! revision, rows = content follower "t"
        Expect.equal revision last $"the revision (seed {Seed.current})"
        Expect.equal rows table.Rows $"the content (seed {Seed.current})"
    }

let private said (node: RunningNode) (part: string) =
    node.Loggers.AtLeast LogLevel.Information |> Array.filter (fun entry -> entry.Message.Contains part) |> Array.length

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

                  relay.CutAfter(Some(fun () -> lock draw (fun () -> draw.Next(1, 5_000))))
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
    [ Nodes.test "passes writes on, and has them when it answers" (fun () ->
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
                  // A stream that began before the gate was closed may still bring one.
                  let write () =
                      Status.ofCall (
                          follower.Clients.Kv.PutAsync(request, deadline = Nullable(DateTime.UtcNow.AddSeconds 1.0)).ResponseAsync
                      )

                  let! _ = write ()
                  let! status = write ()
                  Expect.equal status.StatusCode StatusCode.DeadlineExceeded "the deadline"
                  Expect.stringContains status.Detail "done at the leader site, at revision 3" "what became of it"
                  gate.SetResult()
              })) ]

/// One of ours, with more in its table `t` than the other has.
let private ours (body: RunningNode -> Task<unit>) =
    Nodes.using [ "tables.names", "t,another" ] (fun node ->
        task {
            for number in 1..5 do
                let! _ = node.Put("t", "k", $"stranger {number}")
                ()

            do! body node
        })

let private fencing =
    [ Nodes.test
          "a leader site of ours in the place of its own is not followed, nor after a new start, and its own one is when it is back"
          (fun () ->
              withLeader (fun leader relay away ->
                  task {
                      let table = leader.State.Add "t"
                      let! first = start away.Path relay.Address often
                      let! _ = read first "t" "k" (put table "k" "v")

                      do!
                          ours (fun stranger ->
                              task {
                                  let unchanged (follower: RunningNode) =
                                      task {
                                          let! list = untilState follower LeaderTables.Catalogue State.Fenced
                                          let! row = untilState follower "t" State.Fenced
                                          let! value = follower.Get("t", "k")
                                          let! listed = follower.Clients.Tables.ListAsync(ListTablesRequest())
                                          Expect.stringContains list.Reason "it is not one of the Go project" "says why"
                                          Expect.stringContains row.Reason "it is not one of the Go project" "of the table, too"
                                          Expect.equal value (Some "v") "what it had"
                                          Expect.equal [ for table in listed.Tables -> table.Name ] [ "t" ] "its own tables"
                                          Expect.isGreaterThan (said follower "it is not one of the Go project") 0 "and in the log"
                                      }

                                  relay.LeadTo(portOf stranger)
                                  relay.Break()
                                  do! unchanged first
                                  do! (first :> IAsyncDisposable).DisposeAsync()
                                  use! second = start away.Path relay.Address often
                                  do! unchanged second
                                  relay.LeadTo(Some leader.Port)
                                  relay.Break()
                                  do! expectEqual table second
                                  let! _ = untilState second LeaderTables.Catalogue State.Following
                                  ()
                              })
                  }))

      Nodes.test "a leader site of the Go project is not followed by a site of ours that has one" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  let table = leader.State.Add "t"
                  leader.State.Add "another" |> ignore

                  for _ in 1..20 do
                      put table "k" "stranger" |> ignore

                  use home = new Scratch()
                  use! own = Nodes.start home.Path [ "tables.names", "t" ]
                  relay.LeadTo(portOf own)
                  use! follower = start away.Path relay.Address often
                  let! revision = own.Put("t", "k", "v")
                  let! _ = read follower "t" "k" revision
                  relay.LeadTo(Some leader.Port)
                  relay.Break()
                  let! list = untilState follower LeaderTables.Catalogue State.Fenced
                  let! row = untilState follower "t" State.Fenced
                  Expect.stringContains list.Reason "it is one of the Go project" "says why"
                  Expect.stringContains row.Reason "as one of the Go project does not" "of the table, too"
                  let! value = follower.Get("t", "k")
                  Expect.equal value (Some "v") "what it had"
                  relay.LeadTo(portOf own)
                  relay.Break()
                  let! revision = own.Put("t", "k", "w")
                  let! value = read follower "t" "k" revision
                  Expect.equal value (Some "w") "its own one is followed again"
                  let! listed = follower.Clients.Tables.ListAsync(ListTablesRequest())
                  Expect.equal [ for table in listed.Tables -> table.Name ] [ "t" ] "its own tables"
              }))

      Nodes.test "which kind it follows is known from the founding on, before there is any table" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  use elsewhere = new Scratch()
                  use home = new Scratch()
                  use! own = Nodes.start home.Path []

                  let founded (directory: Scratch) port =
                      task {
                          relay.LeadTo port
                          let! follower = start directory.Path relay.Address often
                          do! (follower :> IAsyncDisposable).DisposeAsync()
                          relay.Break()
                      }

                  do! founded away (Some leader.Port)
                  do! founded elsewhere (portOf own)
                  leader.State.Add "t" |> ignore
                  let! _ = own.Create "t"

                  for directory, port in [ away, portOf own; elsewhere, Some leader.Port ] do
                      relay.LeadTo port
                      use! follower = start directory.Path relay.Address often
                      let! _ = untilState follower LeaderTables.Catalogue State.Fenced
                      Expect.isEmpty follower.Node.Served.Snapshot.Tables "nothing is taken"
                      relay.Break()
              }))

      Nodes.test "the history that such a site makes for itself is told from every leader site's, and is no leader site's" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  let made = GoHistory.Make()
                  Expect.isTrue (GoHistory.Is made) "made for itself"
                  Expect.notEqual made (GoHistory.Make()) "a new one each time"
                  Expect.isFalse (List.init 1000 (fun _ -> Guid.NewGuid()) |> List.exists GoHistory.Is) "a leader site's"
                  leader.State.History <- ByteString.CopyFrom(made.ToByteArray(bigEndian = true))

                  let! refusal =
                      task {
                          try
                              let! node = start away.Path relay.Address often
                              do! (node :> IAsyncDisposable).DisposeAsync()
                              return ""
                          with :? NodeStartException as e ->
                              return e.Message
                      }

                  Expect.stringContains refusal "as only a site has that follows one of the Go project" "refused"
              })) ]

let tests =
    testList
        "A follower site under a leader site of the Go project"
        [ testList "follows:" pulling; testList "and writes:" writing; testList "and the other kind:" fencing ]
