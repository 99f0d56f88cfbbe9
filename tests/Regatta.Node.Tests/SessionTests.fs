/// Sessions: what their calls have seen and written is never unseen, at any node of any site.
module Regatta.Node.Tests.SessionTests

open System
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Node.Tests.Followers
open Regatta.Protocol.Mvcc
open Regatta.Protocol.Sessions
open Regatta.Protocol.V1
open Regatta.Testing

let private t = Bytes.text "t"
let private name = SessionToken.MetadataName

let private headers (tokens: string list) =
    Metadata()
    |> fun all ->
        (tokens |> List.iter (fun token -> all.Add(name, token))
         all)

let private within (seconds: float) = Nullable(DateTime.UtcNow.AddSeconds seconds)
let private tokenIn (trailers: Metadata) = trailers.GetValue name |> Option.ofObj

/// A call's reply with the token that it brought.
let private answered (call: AsyncUnaryCall<'reply>) =
    task {
        let! reply = call.ResponseAsync
        return reply, tokenIn (call.GetTrailers()) |> Option.defaultWith (fun () -> failtest "no token")
    }

/// How a call fails, with the token that it brought.
let private refused (call: AsyncUnaryCall<'reply>) =
    task {
        try
            let! _ = call.ResponseAsync
            return failtest "it did not fail"
        with :? RpcException as e ->
            return e.Status, tokenIn e.Trailers
    }

let private put (node: RunningNode) tokens (table: string) key value =
    answered (
        node.Clients.Kv.PutAsync(PutRequest(Table = Bytes.text table, Key = Bytes.text key, Value = Bytes.text value), headers tokens)
    )

let private range (node: RunningNode) tokens (table: string) key =
    node.Clients.Kv.RangeAsync(RangeRequest(Table = Bytes.text table, Key = Bytes.text key), headers tokens, within 30.0)

let private valueOf (reply: RangeResponse) = reply.Kvs |> Seq.tryHead |> Option.map _.Value.ToStringUtf8()

let private get node tokens table key =
    task {
        let! reply, token = answered (range node tokens table key)
        return valueOf reply, token
    }

/// What a token says of a table at its node.
let private seenAt (node: RunningNode) (table: string) (token: string) =
    match SessionToken.TryParse token with
    | true, NonNull read, _ ->
        let life = (node.Node.Served.Snapshot.Find table |> nonNull).Incarnation
        let seen = read.Find(life.History, ReadOnlySpan((Bytes.text table).ToByteArray()))
        seen |> Option.ofNullable |> Option.map (fun seen -> seen.Number = life.Number, seen.Revision)
    | _, _, problem -> failtest $"{problem}"

let private ahead (node: RunningNode) (table: string) revision =
    let life = (node.Node.Served.Snapshot.Find table |> nonNull).Incarnation
    let seen = SeenTable(life.History, life.Number, revision)
    SessionToken.Empty.With(ReadOnlySpan((Bytes.text table).ToByteArray()), &seen).ToString()

let private withTables (body: RunningNode -> Task<unit>) = Nodes.using [ "tables.names", "t,other" ] body

let private oneNode =
    [ Nodes.test "every call brings the token of what its session has seen, and calls without a session bring none" (fun () ->
          withTables (fun node ->
              task {
                  let plain = node.Clients.Kv.PutAsync(PutRequest(Table = t, Key = Bytes.text "a"))
                  let! _ = plain.ResponseAsync
                  Expect.isNone (tokenIn (plain.GetTrailers())) "none asked for"

                  let! _, token = put node [ "" ] "t" "b" "1"
                  Expect.equal (seenAt node "t" token) (Some(true, 2L)) "after a put"

                  let! _, token =
                      answered (
                          node.Clients.Kv.DeleteRangeAsync(DeleteRangeRequest(Table = t, Key = Bytes.text "none"), headers [ token ])
                      )

                  Expect.equal (seenAt node "t" token) (Some(true, 3L)) "after a delete"
                  let txn = TxnRequest(Table = t)
                  txn.Success.Add(RequestOp(RequestPut = RequestOp.Types.Put(Key = Bytes.text "c")))
                  let! _, token = answered (node.Clients.Kv.TxnAsync(txn, headers [ token ]))
                  Expect.equal (seenAt node "t" token) (Some(true, 4L)) "after a transaction"
                  let! _ = node.Put("t", "d", "elsewhere")
                  let! _, token = get node [ token ] "t" "a"
                  Expect.equal (seenAt node "t" token) (Some(true, 5L)) "after a read"
                  let! _ = node.Put("t", "e", "elsewhere")

                  use pages =
                      node.Clients.Kv.IterateRange(RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero), headers [ token ])

                  while! pages.ResponseStream.MoveNext() do
                      ()

                  let token = tokenIn (pages.GetTrailers()) |> Option.get
                  Expect.equal (seenAt node "t" token) (Some(true, 6L)) "after a stream"
                  let! _, token = put node [ token ] "other" "k" "v"
                  Expect.equal (seenAt node "t" token, seenAt node "other" token) (Some(true, 6L), Some(true, 1L)) "two tables"
                  let! status, kept = refused (range node [ token ] "none" "k")
                  Expect.equal (status.StatusCode, kept) (StatusCode.NotFound, Some token) "an error takes nothing away"
              }))

      Nodes.test "a read waits until the node has what its session has seen, in every call that reads" (fun () ->
          withTables (fun node ->
              task {
                  let! _ = node.Put("t", "k", "old")
                  let token = ahead node "t" 2L
                  let reading = TxnRequest(Table = t, Consistency = Consistency.Local)
                  reading.Success.Add(RequestOp(RequestRange = RequestOp.Types.Range(Key = Bytes.text "k")))
                  let single = (range node [ token ] "t" "k").ResponseAsync
                  let txn = node.Clients.Kv.TxnAsync(reading, headers [ token ], within 30.0).ResponseAsync

                  use pages =
                      node.Clients.Kv.IterateRange(
                          RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero),
                          headers [ token ],
                          within 30.0
                      )

                  let page = pages.ResponseStream.MoveNext()
                  let! other = node.Get("other", "k")
                  Expect.isNone other "the others go on"
                  Expect.isFalse (single.IsCompleted || txn.IsCompleted || page.IsCompleted) "they wait"
                  let! _ = node.Put("t", "k", "new")
                  let! single = single
                  let! txn = txn
                  let! _ = page
                  Expect.equal (valueOf single) (Some "new") "Range"
                  Expect.equal (txn.Responses[0].ResponseRange.Kvs[0].Value.ToStringUtf8()) "new" "Txn"
                  Expect.equal (pages.ResponseStream.Current.Kvs[0].Value.ToStringUtf8()) "new" "IterateRange"
              }))

      Nodes.test "tokens that are sent together, as one header or several, become one that has seen what they have" (fun () ->
          withTables (fun node ->
              task {
                  let! _, one = put node [ "" ] "t" "k" "1"
                  let! _, two = put node [ "" ] "other" "k" "1"
                  let! _, three = put node [ one ] "t" "k" "2"

                  for sent in [ [ one; two; three ]; [ three; two; one ]; [ $"{one}, {two},{three}" ] ] do
                      let! _, merged = get node sent "t" "k"
                      Expect.equal (seenAt node "t" merged, seenAt node "other" merged) (Some(true, 2L), Some(true, 1L)) "both"
              }))

      Nodes.test "a table that was made anew is refused, once, with a token to go on with that has kept the rest" (fun () ->
          withTables (fun node ->
              task {
                  let! _, token = put node [ "" ] "t" "k" "old"
                  let! _, token = put node [ token ] "other" "k" "v"
                  let! _ = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "t"))
                  let! gone, token = refused (range node [ token ] "t" "k")
                  Expect.equal gone.StatusCode StatusCode.NotFound "deleted"
                  let! _ = node.Create "t"
                  let! _ = node.Put("t", "k", "new")
                  let before = Option.get token
                  let! status, token = refused (range node [ before ] "t" "k")
                  Expect.equal status.StatusCode StatusCode.FailedPrecondition "another life"
                  Expect.stringContains status.Detail "was deleted, and another one made under its name" "why"
                  let! write, _ = refused (node.Clients.Kv.PutAsync(PutRequest(Table = t, Key = Bytes.text "k"), headers [ before ]))
                  Expect.equal write.StatusCode StatusCode.FailedPrecondition "a write, too"
                  let! value, token = get node [ Option.get token ] "t" "k"
                  Expect.equal value (Some "new") "goes on"
                  Expect.equal (seenAt node "t" token, seenAt node "other" token) (Some(true, 1L), Some(true, 1L)) "the rest is kept"
              }))

      Nodes.test "a table that was seen at another leader site is refused, once" (fun () ->
          withTables (fun one ->
              withTables (fun two ->
                  task {
                      let! _, token = put one [ "" ] "t" "k" "one"
                      let! _ = two.Put("t", "k", "two")
                      let! other, token = get two [ token ] "other" "k"
                      Expect.isNone other "a table that was not seen there"
                      let! status, token = refused (range two [ token ] "t" "k")
                      Expect.equal status.StatusCode StatusCode.FailedPrecondition "another history"
                      Expect.stringContains status.Detail "another leader site, or one that was made anew" "why"
                      let! value, _ = get two [ Option.get token ] "t" "k"
                      Expect.equal value (Some "two") "goes on"
                  }))) ]

let private sites =
    [ Nodes.test "who has written at the leader site reads it at a follower site, and the other way round" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  let mutable token = ""

                  for number in 1..50 do
                      let writer, reader = if number % 2 = 0 then leader, follower else follower, leader
                      let! _, next = put writer [ token ] "t" "k" $"{number}"
                      let! value, next = get reader [ next ] "t" "k"
                      token <- next
                      Expect.equal value (Some $"{number}") "its own write"
              }))

      Nodes.test "a table made at the leader site is waited for at a follower site" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  for number in 1..5 do
                      let! _ = leader.Create $"new-{number}"
                      let! _, token = put leader [ "" ] $"new-{number}" "k" "v"
                      let! value, _ = get follower [ token ] $"new-{number}" "k"
                      Expect.equal value (Some "v") "there"
              }))

      Nodes.test "what does not come within the deadline is said, and a client that allows it is answered by the leader site" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  let! _, token = put leader [ "" ] "t" "k" "old"
                  let! _ = get follower [ token ] "t" "k"
                  // The follower's own group stands still, so nothing arrives.
                  follower.Host.Set("t", Hangs)
                  let! _, token = put leader [ token ] "t" "k" "new"
                  let request = RangeRequest(Table = t, Key = Bytes.text "k")
                  // The node's own deadline: a client's might pass before it has heard the node.
                  let! status, kept = refused (follower.Clients.Kv.RangeAsync(request, headers [ token ]))
                  Expect.equal (status.StatusCode, kept) (StatusCode.Unavailable, Some token) "not here"

                  Expect.stringContains
                      status.Detail
                      "this node has revision 1 of the table, and min_revision or the session asks for 2"
                      "what is missing"

                  let asked = headers [ token ]
                  asked.Add("regatta-forward", "true")
                  let! reply, seen = answered (follower.Clients.Kv.RangeAsync(request, asked, within 30.0))
                  Expect.equal (valueOf reply, seen) (Some "new", token) "Range"

                  use pages =
                      follower.Clients.Kv.IterateRange(
                          RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero),
                          asked,
                          within 30.0
                      )

                  let! _ = pages.ResponseStream.MoveNext()
                  Expect.equal (valueOf pages.ResponseStream.Current) (Some "new") "IterateRange"
                  let txn = TxnRequest(Table = t, Consistency = Consistency.Local)
                  txn.Success.Add(RequestOp(RequestRange = RequestOp.Types.Range(Key = Bytes.text "k")))
                  let! reply, _ = answered (follower.Clients.Kv.TxnAsync(txn, asked, within 30.0))
                  Expect.equal (reply.Responses[0].ResponseRange.Kvs[0].Value.ToStringUtf8()) "new" "Txn"
                  let! local = follower.Get("t", "k")
                  Expect.equal local (Some "old") "without a session, what is here"
                  let wrong = Metadata()
                  wrong.Add("regatta-forward", "yes")
                  let! status = Status.ofCall (follower.Clients.Kv.RangeAsync(request, wrong).ResponseAsync)

                  Expect.equal
                      (status.StatusCode, status.Detail)
                      (StatusCode.InvalidArgument, "regatta-forward must be true, or left out")
                      "bad input"
              }))

      Nodes.test "a write that is done, and is not here by the deadline, is in the session" (fun () ->
          task {
              use home = new Scratch()
              use away = new Scratch()
              use! leader = Nodes.start home.Path [ "tables.names", "t" ]
              use! follower = start away.Path (string leader.Node.ReplicationAddress) []
              let! revision = leader.Put("t", "k", "old")
              let! _ = read follower "t" "k" revision
              follower.Host.Set("t", Hangs)
              let request = PutRequest(Table = t, Key = Bytes.text "k", Value = Bytes.text "new")
              let! status, token = refused (follower.Clients.Kv.PutAsync(request, headers [ "" ]))
              Expect.equal status.StatusCode StatusCode.DeadlineExceeded "not here"
              Expect.equal (seenAt leader "t" (Option.get token)) (Some(true, 2L)) "known to the session"
          }) ]

let private globals =
    [ Nodes.test "GLOBAL reads see everything that was acknowledged anywhere, whatever the follower has" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  let! revision = leader.Put("t", "k", "old")
                  let! _ = read follower "t" "k" revision
                  follower.Host.Set("t", Hangs)
                  let! revision = leader.Put("t", "k", "new")
                  let request = RangeRequest(Table = t, Key = Bytes.text "k", Consistency = Consistency.Global)
                  let! reply = follower.Clients.Kv.RangeAsync(request, deadline = within 30.0)
                  Expect.equal (valueOf reply, reply.Header.Revision) (Some "new", revision) "Range"
                  let all = RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero, Consistency = Consistency.Global)
                  use pages = follower.Clients.Kv.IterateRange(all, deadline = within 30.0)
                  let! _ = pages.ResponseStream.MoveNext()
                  Expect.equal (valueOf pages.ResponseStream.Current) (Some "new") "IterateRange"
                  let! more = pages.ResponseStream.MoveNext()
                  Expect.isFalse more "its end"
                  let txn = TxnRequest(Table = t, Consistency = Consistency.Global)
                  txn.Success.Add(RequestOp(RequestRange = RequestOp.Types.Range(Key = Bytes.text "k")))
                  let! reply = follower.Clients.Kv.TxnAsync(txn, deadline = within 30.0)
                  Expect.equal (reply.Responses[0].ResponseRange.Kvs[0].Value.ToStringUtf8()) "new" "Txn"
                  txn.Consistency <- Consistency.Local
                  let! reply = follower.Clients.Kv.TxnAsync(txn, deadline = within 30.0)
                  Expect.equal (reply.Responses[0].ResponseRange.Kvs[0].Value.ToStringUtf8()) "old" "a LOCAL one does not ask"
              }))

      Nodes.test "GLOBAL reads fail with a reason when the leader site is away, and others go on" (fun () ->
          task {
              use home = new Scratch()
              use away = new Scratch()
              let! leader = Nodes.start home.Path [ "tables.names", "t" ]
              use! follower = start away.Path (string leader.Node.ReplicationAddress) []
              let! revision = leader.Put("t", "k", "v")
              let! _ = read follower "t" "k" revision
              let request = RangeRequest(Table = t, Key = Bytes.text "k", Consistency = Consistency.Global)
              let! invalid = Status.ofCall (follower.Clients.Kv.RangeAsync(RangeRequest(request, Limit = -1L)).ResponseAsync)

              Expect.equal
                  (invalid.StatusCode, invalid.Detail)
                  (StatusCode.InvalidArgument, "limit must be a positive number")
                  "bad input is told here"

              let! unknown = Status.ofCall (follower.Clients.Kv.RangeAsync(RangeRequest(request, Table = Bytes.text "none")).ResponseAsync)

              Expect.equal
                  (unknown.StatusCode, unknown.Detail)
                  (StatusCode.NotFound, "leader error: table not found")
                  "the leader site's words"

              do! (leader :> IAsyncDisposable).DisposeAsync()
              let! status = Status.ofCall (follower.Clients.Kv.RangeAsync(request, deadline = within 30.0).ResponseAsync)
              Expect.equal status.StatusCode StatusCode.Unavailable "away"
              Expect.stringContains status.Detail "no node of the leader site answers" "why"
              Expect.stringContains status.Detail "a local read is answered here" "what to do"
              use pages = follower.Clients.Kv.IterateRange(request, deadline = within 30.0)
              let! status = Status.ofCall (pages.ResponseStream.MoveNext())
              Expect.equal status.StatusCode StatusCode.Unavailable "a stream"
              let! local = follower.Get("t", "k")
              Expect.equal local (Some "v") "a local read"
          }) ]

let tests =
    testList
        "Sessions and global reads"
        [ testList "at a node:" oneNode; testList "between sites:" sites; testList "of the leader site:" globals ]
