/// Watch: every change, in order, once, from any revision that is kept, on every node of every site.
module Regatta.Node.Tests.WatchTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Microsoft.Extensions.Logging
open Regatta.Node
open Regatta.Node.Tests.Followers
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Testing

let private t = Bytes.text "t"
let private withTables (body: RunningNode -> Task<unit>) = Nodes.using [ "tables.names", "t,other" ] body
let private watching (node: RunningNode) = new Watching(node.Clients.Kv)
let private put key value = RequestOp(RequestPut = RequestOp.Types.Put(Key = Bytes.text key, Value = Bytes.text value))

let private delete key rangeEnd =
    RequestOp(RequestDeleteRange = RequestOp.Types.DeleteRange(Key = Bytes.text key, RangeEnd = Bytes.text rangeEnd))

let private txn (node: RunningNode) (operations: RequestOp list) =
    task {
        let request = TxnRequest(Table = t)
        request.Success.AddRange operations
        let! reply = node.Clients.Kv.TxnAsync request
        return reply.Header.Revision
    }

let private statusOf (message: WatchResponse) =
    match message.End with
    | null -> failtest $"it did not end: {message}"
    | ended -> enum<StatusCode> ended.Code, ended.Reason

let private created (stream: Watching) =
    task {
        let! message = stream.Next()
        Expect.isTrue message.Created $"created: {message}"
        return message
    }

let private changes =
    [ Nodes.test "past changes and new ones come in order, each once, with what they made of the key" (fun () ->
          withTables (fun node ->
              task {
                  let! _ = node.Put("t", "a", "1")
                  let! _ = node.Put("t", "a", "2")
                  let! _ = txn node [ put "b" "3"; delete "a" "b"; put "a" "4" ]
                  use stream = watching node
                  do! stream.Create(Watching.all 7L "t" 1UL)
                  let! first = created stream
                  Expect.equal (first.WatchId, first.Header.Revision) (7L, 0UL) "its first message"
                  Expect.equal first.HistoryId.Length 16 "the table's life"
                  let! past = stream.Through 3UL
                  let expected = [ 1L, "a", Some "1"; 2L, "a", Some "2"; 3L, "b", Some "3"; 3L, "a", None; 3L, "a", Some "4" ]
                  Expect.equal (Watching.shorts past) expected "the past"
                  let! _ = node.Clients.Kv.DeleteRangeAsync(DeleteRangeRequest(Table = t, Key = Bytes.text "none"))
                  let! _ = node.Put("t", "b", "5")
                  let! _ = node.Clients.Kv.DeleteRangeAsync(DeleteRangeRequest(Table = t, Key = Bytes.text "b"))
                  let! news = stream.Events 2
                  Expect.equal (news |> List.map Watching.short) [ 5L, "b", Some "5"; 6L, "b", None ] "the news"
                  let kv = news[0].Kv
                  Expect.equal (kv.CreateRevision, kv.ModRevision, kv.Version) (3L, 5L, 2L) "revisions of the key"
              }))

      Nodes.test "only the keys that are watched come: one, a range, all from one on" (fun () ->
          withTables (fun node ->
              task {
                  use stream = watching node
                  do! stream.Create(Watching.ofKey 1L "t" "b" 1UL)

                  do!
                      stream.Create(
                          CreateWatch(WatchId = 2L, Table = t, Key = Bytes.text "b", RangeEnd = Bytes.text "d", StartRevision = 1UL)
                      )

                  do!
                      stream.Create(
                          CreateWatch(WatchId = 3L, Table = t, Key = Bytes.text "c", RangeEnd = Bytes.zero, StartRevision = 1UL)
                      )

                  do! stream.Create(Watching.all 4L "other" 1UL)

                  for _ in 1..4 do
                      let! _ = created stream
                      ()

                  for key in [ "a"; "b"; "c"; "d" ] do
                      let! _ = node.Put("t", key, key)
                      ()

                  let! _ = txn node [ delete "a" "z" ]
                  let! _ = node.Put("other", "k", "v")
                  let seen = System.Collections.Generic.Dictionary<int64, (int64 * string * string option) list>()
                  let mutable events = 0

                  while events < 2 + 4 + 4 + 1 do
                      let! message = stream.Next()
                      let before = if seen.ContainsKey message.WatchId then seen[message.WatchId] else []
                      seen[message.WatchId] <- before @ Watching.shorts [ message ]
                      events <- events + message.Events.Count

                  Expect.equal seen[1L] [ 2L, "b", Some "b"; 5L, "b", None ] "one key"
                  Expect.equal seen[2L] [ 2L, "b", Some "b"; 3L, "c", Some "c"; 5L, "b", None; 5L, "c", None ] "a range"
                  Expect.equal seen[3L] [ 3L, "c", Some "c"; 4L, "d", Some "d"; 5L, "c", None; 5L, "d", None ] "from a key on"
                  Expect.equal seen[4L] [ 1L, "k", Some "v" ] "another table"
              }))

      Nodes.test "without a revision only what is new comes, and one that is still to come is waited for" (fun () ->
          withTables (fun node ->
              task {
                  let! _ = node.Put("t", "k", "old")
                  use stream = watching node
                  do! stream.Create(Watching.all 1L "t" 0UL)
                  let! first = created stream
                  Expect.equal first.Header.Revision 1UL "where it begins"
                  do! stream.Create(Watching.all 2L "t" 4UL)
                  let! _ = created stream

                  for value in [ "2"; "3"; "4" ] do
                      let! _ = node.Put("t", "k", value)
                      ()

                  let! events = stream.Events 4
                  let values = events |> List.map Watching.short |> List.sort
                  Expect.equal values (List.sort [ 2L, "k", Some "2"; 3L, "k", Some "3"; 4L, "k", Some "4"; 4L, "k", Some "4" ]) "both"
              }))

      Nodes.test "progress that is asked for comes behind everything that there was" (fun () ->
          withTables (fun node ->
              task {
                  use stream = watching node
                  do! stream.Create(Watching.ofKey 1L "t" "watched" 1UL)
                  let! _ = created stream
                  let! _ = node.Put("t", "watched", "1")

                  for number in 2..20 do
                      let! _ = node.Put("t", "another", $"{number}")
                      ()

                  let! _ = stream.Events 1
                  let mutable reached = 0UL

                  while reached < 20UL do
                      do! stream.Send(WatchRequest(Progress = 1L))
                      let! message = stream.Next()
                      Expect.isEmpty message.Events "nothing else"
                      Expect.isGreaterThanOrEqual message.Header.Revision 1UL "behind the event"
                      reached <- message.Header.Revision

                  Expect.equal reached 20UL "the table's revision"
              }))

      Nodes.test "a client that does not read costs nobody anything, and has everything, in order, once it reads" (fun () ->
          withTables (fun node ->
              task {
                  use slow = watching node
                  use quick = watching node
                  do! slow.Create(Watching.all 1L "t" 1UL)
                  do! quick.Create(Watching.all 1L "t" 1UL)
                  let! _ = created quick
                  let value = String('v', 20_000)

                  for number in 1..400 do
                      let! _ = node.Put("t", $"k{number % 10}", $"{number} {value}")
                      ()

                  let! seen = quick.Events 400
                  let! _ = created slow
                  let! late = slow.Events 400
                  let revisions events = events |> List.map (fun (event: WatchEvent) -> event.Kv.ModRevision)
                  Expect.equal (revisions seen) [ 1L .. 400L ] "the quick one"
                  Expect.equal (revisions late) [ 1L .. 400L ] "the slow one"
                  let! _ = node.Put("t", "k", "last")
                  let! last = slow.Events 1
                  Expect.equal (revisions last) [ 401L ] "and goes on"
              }))

      Nodes.test "a revision of many keys comes in pieces, in the order of its operations, and can be gone on with in its middle" (fun () ->
          withTables (fun node ->
              task {
                  let keys = [ for number in 0..5999 -> $"key {number:D4} {String('k', 40)}" ]
                  use live = watching node
                  do! live.Create(Watching.all 1L "t" 0UL)
                  let! _ = created live

                  for chunk in List.chunkBySize 500 keys do
                      let! _ = txn node [ for key in chunk -> put key "v" ]
                      ()

                  let! revision = txn node [ put "a" "first"; delete "key" "kez"; put (List.head keys) "again"; put "z" "last" ]
                  let expected = [ "a"; yield! keys; List.head keys; "z" ]
                  use stream = watching node
                  do! stream.Create(Watching.all 1L "t" revision)
                  let! _ = created stream
                  let! messages = stream.Through revision

                  let names messages =
                      messages
                      |> Watching.shorts
                      |> List.map (fun (at, key, _) ->
                          Expect.equal at (int64 revision) "its revision"
                          key)

                  Expect.equal (names messages) expected "all, in order"
                  Expect.isGreaterThan messages.Length 2 "in pieces"
                  Expect.all messages (fun message -> message.Header.Revision = revision) "of this revision"
                  let skip = 1 + messages[1].Events.Count + messages[0].Events.Count
                  let again = Watching.all 2L "t" revision
                  again.SkipEvents <- uint64 skip
                  do! stream.Create again
                  let! _ = created stream
                  let! rest = stream.Through revision
                  Expect.equal (names rest) (List.skip skip expected) "the rest"
                  // In its middle the history up to the revision before is what is compared, whatever the watch did until then.
                  let! told = live.Through revision
                  let middle = told |> List.find (fun message -> message.More && message.Header.Revision = revision)
                  let had = middle.Events |> Seq.filter (fun event -> event.Kv.ModRevision = int64 revision) |> Seq.length
                  again.WatchId <- 3L
                  again.SkipEvents <- uint64 had
                  again.ChainHash <- middle.ChainHash
                  Expect.equal again.ChainHash.Length 16 "the hash is known"
                  do! stream.Create again
                  let! _ = created stream
                  let! rest = stream.Through revision
                  Expect.equal (names rest) (List.skip had expected) "the rest, with the hash"
              }))

      Nodes.test
          "what was there before comes with each event if it is asked for, in pieces when it is large, and is the same when the watch is made again in the middle"
          (fun () ->
              withTables (fun node ->
                  task {
                      let large = String('v', 100_000)
                      let keys = [ for number in 0..9 -> $"k{number}" ]

                      for key in keys do
                          let! _ = node.Put("t", key, key + large)
                          ()

                      let! revision = txn node [ put "k0" "small"; delete "k" "l"; put "k0" "new" ]
                      let own = int64 revision

                      let expected =
                          [ "k0", Some(1L, "k0" + large)
                            "k0", Some(own, "small")
                            for number in 1..9 do
                                $"k{number}", Some(int64 number + 1L, $"k{number}{large}")
                            "k0", None ]

                      let before (messages: WatchResponse list) =
                          [ for message in messages do
                                for event in message.Events do
                                    event.Kv.Key.ToStringUtf8(),
                                    event.PrevKv
                                    |> Option.ofObj
                                    |> Option.map (fun previous ->
                                        Expect.equal previous.Key event.Kv.Key "its key"
                                        previous.ModRevision, previous.Value.ToStringUtf8()) ]

                      let request = Watching.all 1L "t" revision
                      request.PrevKv <- true
                      use stream = watching node
                      do! stream.Create request
                      let! _ = created stream
                      let! messages = stream.Through revision
                      Expect.equal (before messages) expected "all, in order"
                      Expect.isGreaterThan messages.Length 3 "in pieces"
                      Expect.all messages (fun message -> message.CalculateSize() < 400_000) "of bounded size"
                      let skip = messages[0].Events.Count + messages[1].Events.Count
                      let again = request.Clone()
                      again.WatchId <- 2L
                      again.SkipEvents <- uint64 skip
                      do! stream.Create again
                      let! _ = created stream
                      let! rest = stream.Through revision
                      Expect.equal (before rest) (List.skip skip expected) "the rest"
                      do! stream.Create(Watching.all 3L "t" revision)
                      let! _ = created stream
                      let! plain = stream.Through revision
                      Expect.all (before plain) (fun (_, previous) -> previous.IsNone) "only if it is asked for"
                  }))

      Nodes.test "a watch of a follower site goes on where one of the leader site ended" (fun () ->
          using [] (fun leader _ follower ->
              task {
                  let! revision = leader.Put("t", "k", "1")
                  let! _ = read follower "t" "k" revision

                  let seen = ResizeArray<int64 * string * string option>()
                  let mutable life = None

                  for round in 0..9 do
                      use stream = watching (if round % 2 = 0 then leader else follower)
                      let request = Watching.all 1L "t" (uint64 seen.Count + 1UL)

                      match life with
                      | Some(history, incarnation) ->
                          request.HistoryId <- history
                          request.Incarnation <- incarnation
                      | None -> ()

                      do! stream.Create request
                      let! first = created stream
                      life <- Some(first.HistoryId, first.Incarnation)

                      for number in 1..5 do
                          let! _ = (if round % 3 = 0 then follower else leader).Put("t", "k", $"{round} {number}")
                          ()

                      let! events = stream.Events 3
                      seen.AddRange(events |> List.map Watching.short)

                  let revisions = seen |> Seq.map (fun (revision, _, _) -> revision) |> List.ofSeq
                  Expect.equal revisions [ 1L .. int64 seen.Count ] "each once, in order"
              })) ]

let private endings =
    [ Nodes.test "a watch is cancelled when its client wants it, and the others of the stream go on" (fun () ->
          withTables (fun node ->
              task {
                  use stream = watching node
                  do! stream.Create(Watching.all 1L "t" 1UL)
                  do! stream.Create(Watching.all 2L "t" 1UL)
                  let! _ = created stream
                  let! _ = created stream
                  do! stream.Send(WatchRequest(Cancel = 1L))
                  let! message = stream.Next()

                  Expect.equal
                      (message.WatchId, statusOf message)
                      (1L, (StatusCode.Cancelled, "the client has cancelled the watch"))
                      "its end"

                  let! _ = node.Put("t", "k", "v")
                  let! message = stream.Next()
                  Expect.equal (message.WatchId, message.Events.Count) (2L, 1) "the other one"
                  do! stream.Create(Watching.all 1L "t" 1UL)
                  let! _ = created stream
                  let! events = stream.Events 1
                  Expect.hasLength events 1 "its id is free again"
              }))

      Nodes.test "a start that is not kept any more is told, with the least one that is" (fun () ->
          Nodes.using [ "tables.names", "t"; "changelog.max-count", "1" ] (fun node ->
              task {
                  for number in 1..3 do
                      let! _ = node.Put("t", "k", $"{number}")
                      ()

                  do! keepsFrom node 2UL
                  use stream = watching node
                  do! stream.Create(Watching.all 1L "t" 1UL)
                  let! _ = created stream
                  let! message = stream.Next()
                  let code, reason = statusOf message
                  Expect.equal code StatusCode.OutOfRange "the code"

                  Expect.equal
                      reason
                      "the changes up to revision 2 are not kept any more; read the table, and watch from the revision after the one that was read"
                      "the reason"

                  Expect.equal message.End.OldestRevision 3UL "the least"
                  do! stream.Create(Watching.all 1L "t" 3UL)
                  let! _ = created stream
                  let! events = stream.Events 1
                  Expect.equal (events |> List.map Watching.short) [ 3L, "k", Some "3" ] "from there on"
              }))

      Nodes.test "a deleted table's watches end, and one made anew is not taken for it" (fun () ->
          withTables (fun node ->
              task {
                  use stream = watching node
                  do! stream.Create(Watching.all 1L "t" 1UL)
                  let! first = created stream
                  let! _ = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "t"))
                  let! message = stream.Next()
                  Expect.equal (statusOf message) (StatusCode.NotFound, "table not found") "deleted"
                  let! _ = node.Create "t"
                  let again = Watching.all 1L "t" 1UL
                  again.HistoryId <- first.HistoryId
                  again.Incarnation <- first.Incarnation
                  do! stream.Create again
                  let! message = stream.Next()
                  let code, reason = statusOf message
                  Expect.equal code StatusCode.FailedPrecondition "another life"
                  Expect.stringContains reason "it was made anew" "why"
              }))

      Nodes.test "clients that go away, in whatever moment, are nothing that a node complains of, and leave nothing open" (fun () ->
          Nodes.using [ "tables.names", "t"; "limits.max-watches", "40" ] (fun node ->
              task {
                  for round in 1..20 do
                      let clients = new Clients(node.Node)
                      let streams = [ for _ in 1..40 -> new Watching(clients.Kv) ]

                      for stream in streams do
                          do! stream.Create(Watching.all 1L "t" 1UL)

                      if round % 2 = 0 then
                          for stream in streams do
                              let! _ = stream.Next()
                              ()

                      // The connection goes, with all streams at once.
                      (clients :> IDisposable).Dispose()

                      for stream in streams do
                          (stream :> IDisposable).Dispose()

                  // Who has left has given its place back.
                  let! _ =
                      until (fun () ->
                          task {
                              use streams = watching node

                              for id in 1L .. 40L do
                                  do! streams.Create(Watching.all id "t" 0UL)

                              let mutable isOpen = true

                              for _ in 1..40 do
                                  let! message = streams.Next()
                                  isOpen <- isOpen && message.Created

                              return if isOpen then Some() else None
                          })

                  Expect.isEmpty (node.Loggers.AtLeast LogLevel.Error) "no complaint"

                  // The reset of a stream may come before the word that the call is over.
                  let reset =
                      { new IAsyncStreamReader<WatchRequest> with
                          member _.Current = raise (NotSupportedException())
                          member _.MoveNext _ = Task.FromException<bool>(IO.IOException "The client reset the request stream.") }

                  let writer =
                      { new IServerStreamWriter<WatchResponse> with
                          member _.WriteOptions
                              with get () = null
                              and set _ = ()

                          member _.WriteAsync _ = Task.CompletedTask }

                  let limits = Regatta.Core.Limits(1024, 1024, 1024, 10)
                  use watches = new Watches(node.Node.Served, limits, 1, TimeProvider.System, CancellationToken.None)
                  use stream = new WatchStream(watches, node.Node.Served, limits, writer, TimeProvider.System)
                  let! status = Status.ofCall (stream.RunAsync(reset, CancellationToken.None))
                  Expect.equal status.StatusCode StatusCode.Cancelled "not a fault of the node"
              }))

      Nodes.test "a node that stops says so to those who watch" (fun () ->
          task {
              use scratch = new Scratch()
              let! node = Nodes.start scratch.Path [ "tables.names", "t" ]
              use stream = watching node
              do! stream.Create(Watching.all 1L "t" 1UL)
              let! _ = created stream
              // .NET's HTTP/2 client throws away what it has of a reply, not read yet, when the connection closes and its own side of the call is open.
              do! stream.Complete()
              let next = stream.Next()
              let! _ = node.Node.StopAsync()
              let! status = Status.ofCall next
              Expect.equal (status.StatusCode, status.Detail) (StatusCode.Unavailable, "the node is stopping; try another one") "its word"
              do! (node :> IAsyncDisposable).DisposeAsync()
          }) ]

let tests = testList "Watch" [ testList "brings:" changes; testList "ends:" endings ]
