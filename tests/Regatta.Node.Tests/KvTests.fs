module Regatta.Node.Tests.KvTests

open System
open System.Collections.Generic
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1

let private t = Bytes.text "t"
let private all () = RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero)
let private keys (kvs: KeyValue seq) = kvs |> Seq.map (fun pair -> pair.Key.ToStringUtf8()) |> List.ofSeq
let private withTable body = Nodes.using [ "tables.names", "t" ] body

let private fill (node: RunningNode) (names: string list) =
    task {
        for name in names do
            let! _ = node.Put("t", name, "value of " + name)
            ()
    }

let private pages (node: RunningNode) (request: RangeRequest) =
    task {
        let result = List<RangeResponse>()
        use call = node.Clients.Kv.IterateRange request

        while! call.ResponseStream.MoveNext() do
            result.Add call.ResponseStream.Current

        return List.ofSeq result
    }

/// shard, replica, term and leader of the node's table.
let private checkHeader (group: int64) (revision: int) (header: ResponseHeader) (what: string) =
    Expect.equal header.ShardId (uint64 group) $"{what}: shard_id"
    Expect.equal header.ReplicaId 1UL $"{what}: replica_id"
    Expect.equal header.RaftLeaderId 1UL $"{what}: raft_leader_id"
    Expect.isGreaterThan header.RaftTerm 0UL $"{what}: raft_term"
    Expect.equal header.Revision (uint64 revision) $"{what}: revision"

let private txn (compares: Compare list) (success: RequestOp list) (failure: RequestOp list) =
    let request = TxnRequest(Table = t)
    request.Compare.AddRange compares
    request.Success.AddRange success
    request.Failure.AddRange failure
    request

let private opPut (key: string) (value: string) =
    RequestOp(RequestPut = RequestOp.Types.Put(Key = Bytes.text key, Value = Bytes.text value, PrevKv = true))

let private opRange (key: string) = RequestOp(RequestRange = RequestOp.Types.Range(Key = Bytes.text key))

let tests =
    testList
        "KV"
        [ Nodes.test "every reply carries the whole header, with the revision that it shows" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      let! group = node.Create "t"
                      let kv = node.Clients.Kv
                      let! put = kv.PutAsync(PutRequest(Table = t, Key = Bytes.text "a", Value = Bytes.text "1"))
                      checkHeader group 1 put.Header "Put"
                      let! point = kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.text "a"))
                      checkHeader group 1 point.Header "Range of a key"
                      let! missing = kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.text "b"))
                      checkHeader group 1 missing.Header "Range of a missing key"
                      let! ranged = kv.RangeAsync(all ())
                      checkHeader group 1 ranged.Header "Range"
                      let! linearizable = kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.text "a", Linearizable = true))
                      checkHeader group 1 linearizable.Header "linearizable Range"
                      let! txnRead = kv.TxnAsync(txn [] [ opRange "a" ] [])
                      checkHeader group 1 txnRead.Header "read-only Txn"
                      let! delete = kv.DeleteRangeAsync(DeleteRangeRequest(Table = t, Key = Bytes.text "none"))
                      checkHeader group 2 delete.Header "DeleteRange of nothing"

                      let! emptyBranch =
                          kv.TxnAsync(txn [ Compare(Key = Bytes.text "a", Value = Bytes.text "other") ] [ opPut "a" "2" ] [])

                      checkHeader group 3 emptyBranch.Header "Txn whose taken branch is empty"
                      let! txnWrite = kv.TxnAsync(txn [] [ opPut "a" "2" ] [])
                      checkHeader group 4 txnWrite.Header "Txn"
                      let! streamed = pages node (all ())
                      checkHeader group 4 streamed.Head.Header "IterateRange"
                      let! nothing = pages node (RangeRequest(Table = t, Key = Bytes.text "zz"))
                      Expect.hasLength nothing 1 "an empty stream has one message"
                      checkHeader group 4 nothing.Head.Header "empty IterateRange"
                  }))

          Nodes.test "pairs carry their revisions and version, in every kind of reply" (fun () ->
              withTable (fun node ->
                  task {
                      do! fill node [ "a"; "b"; "a" ]
                      let expect (pair: KeyValue) = Expect.equal (pair.CreateRevision, pair.ModRevision, pair.Version) (1L, 3L, 2L) "a"
                      let! point = node.Clients.Kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.text "a"))
                      expect point.Kvs[0]
                      Expect.equal (point.Kvs[0].Value.ToStringUtf8()) "value of a" "the value"
                      let! ranged = node.Clients.Kv.RangeAsync(all ())
                      expect ranged.Kvs[0]
                      let! put = node.Clients.Kv.PutAsync(PutRequest(Table = t, Key = Bytes.text "a", PrevKv = true))
                      expect put.PrevKv
                      let! fresh = node.Clients.Kv.PutAsync(PutRequest(Table = t, Key = Bytes.text "new", PrevKv = true))
                      Expect.isNull fresh.PrevKv "a new key has no previous pair"
                      let! deleted = node.Clients.Kv.DeleteRangeAsync(DeleteRangeRequest(Table = t, Key = Bytes.text "a", PrevKv = true))
                      Expect.equal deleted.Deleted 1L "prev_kv counts too"

                      Expect.equal
                          (deleted.PrevKvs[0].CreateRevision, deleted.PrevKvs[0].ModRevision, deleted.PrevKvs[0].Version)
                          (1L, 4L, 3L)
                          "deleted a"

                      let! silent = node.Clients.Kv.DeleteRangeAsync(DeleteRangeRequest(Table = t, Key = Bytes.text "b"))
                      Expect.equal (silent.Deleted, silent.PrevKvs.Count) (0L, 0) "nothing asked, nothing told"
                  }))

          Nodes.test "keys_only, count_only, limit and more mean what they say" (fun () ->
              withTable (fun node ->
                  task {
                      do! fill node [ "a"; "b"; "c" ]

                      let read (change: RangeRequest -> unit) =
                          let request = all ()
                          change request
                          node.Clients.Kv.RangeAsync(request).ResponseAsync

                      let! onlyKeys = read (fun request -> request.KeysOnly <- true)
                      Expect.equal (keys onlyKeys.Kvs) [ "a"; "b"; "c" ] "keys_only"
                      Expect.isTrue (onlyKeys.Kvs |> Seq.forall (fun pair -> pair.Value.IsEmpty)) "keys_only has no values"
                      let! count = read (fun request -> request.CountOnly <- true)
                      Expect.equal (count.Count, count.Kvs.Count, count.More) (3L, 0, false) "count_only"
                      let! two = read (fun request -> request.Limit <- 2L)
                      Expect.equal (keys two.Kvs, two.More, two.Count) ([ "a"; "b" ], true, 2L) "one further key is more"
                      let! three = read (fun request -> request.Limit <- 3L)
                      Expect.equal (three.Kvs.Count, three.More) (3, false) "no further key"
                      let! one = node.Clients.Kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.text "b", CountOnly = true))
                      Expect.equal (one.Count, one.Kvs.Count) (1L, 0) "count_only of a key"
                      let! bare = node.Clients.Kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.text "b", KeysOnly = true))

                      Expect.equal
                          (keys bare.Kvs, bare.Kvs[0].Value.IsEmpty, bare.Kvs[0].ModRevision)
                          ([ "b" ], true, 2L)
                          "keys_only of a key"
                  }))

          Nodes.test "the four revision filters work for a key, a range and a stream" (fun () ->
              withTable (fun node ->
                  task {
                      // create revisions 1 2 3, mod revisions 4 2 3.
                      do! fill node [ "a"; "b"; "c"; "a" ]

                      let cases: ((RangeRequest -> unit) * string list) list =
                          [ (fun r -> r.MinModRevision <- 3L), [ "a"; "c" ]
                            (fun r -> r.MaxModRevision <- 2L), [ "b" ]
                            (fun r -> r.MinCreateRevision <- 2L), [ "b"; "c" ]
                            (fun r -> r.MaxCreateRevision <- 1L), [ "a" ]
                            (fun r ->
                                r.MinModRevision <- 3L
                                r.MaxModRevision <- 3L),
                            [ "c" ]
                            (fun r -> r.MinModRevision <- 9L), [] ]

                      for change, expected in cases do
                          let request = all ()
                          change request
                          let! reply = node.Clients.Kv.RangeAsync request
                          Expect.equal (keys reply.Kvs) expected $"{request}"
                          let! stream = pages node request
                          Expect.equal (stream |> List.collect (fun page -> keys page.Kvs)) expected $"stream of {request}"

                          for key in [ "a"; "b"; "c" ] do
                              let single = request.Clone()
                              single.Key <- Bytes.text key
                              single.RangeEnd <- ByteString.Empty
                              let! point = node.Clients.Kv.RangeAsync single
                              Expect.equal (keys point.Kvs) (List.filter ((=) key) expected) $"{single}"
                  }))

          Nodes.test "compares on value, version, create and mod revision decide, and missing keys compare as agreed" (fun () ->
              withTable (fun node ->
                  task {
                      do! fill node [ "a"; "a" ]
                      let key = Bytes.text "a"
                      let none = Bytes.text "none"
                      let version number = Compare(Key = key, Target = Compare.Types.CompareTarget.Version, Version = number)
                      let less = Compare.Types.CompareResult.Less
                      let notEqual = Compare.Types.CompareResult.NotEqual

                      let cases =
                          [ version 2L, true
                            version 1L, false
                            Compare(Key = key, Target = Compare.Types.CompareTarget.Create, CreateRevision = 1L), true
                            Compare(Key = key, Target = Compare.Types.CompareTarget.Mod, ModRevision = 2L), true
                            Compare(Key = key, Target = Compare.Types.CompareTarget.Mod, ModRevision = 3L, Result = less), true
                            Compare(Key = key, Target = Compare.Types.CompareTarget.Mod, ModRevision = 2L, Result = less), false
                            Compare(Key = key, Value = Bytes.text "value of a"), true
                            Compare(Key = key, Value = Bytes.text "x", Result = less), true
                            Compare(Key = key, Value = Bytes.text "x", Result = notEqual), true
                            Compare(Key = key), true
                            Compare(Key = none), false
                            Compare(Key = none, Value = Bytes.text "x", Result = notEqual), false
                            Compare(Key = none, Target = Compare.Types.CompareTarget.Version, Version = 0L), true
                            Compare(Key = none, Target = Compare.Types.CompareTarget.Create, CreateRevision = 0L), true
                            Compare(Key = none, Target = Compare.Types.CompareTarget.Mod, ModRevision = 1L, Result = less), true
                            Compare(Key = Bytes.zero, RangeEnd = Bytes.zero), true
                            Compare(Key = none, RangeEnd = Bytes.zero), false ]

                      for condition, expected in cases do
                          let! reply = node.Clients.Kv.TxnAsync(txn [ condition ] [] [])
                          Expect.equal reply.Succeeded expected $"{condition}"
                  }))

          Nodes.test "a transaction answers each operation in order, and sees its own writes" (fun () ->
              withTable (fun node ->
                  task {
                      do! fill node [ "a"; "b" ]
                      let delete = RequestOp.Types.DeleteRange(Key = Bytes.text "b", PrevKv = true)
                      let ops = [ opRange "a"; opPut "a" "new"; opRange "a"; RequestOp(RequestDeleteRange = delete); opRange "b" ]
                      let! reply = node.Clients.Kv.TxnAsync(txn [] ops [])
                      Expect.isTrue reply.Succeeded "without compares the first branch is taken"
                      let responses = List.ofSeq reply.Responses
                      Expect.equal (responses[0].ResponseRange.Kvs[0].Value.ToStringUtf8()) "value of a" "before"
                      Expect.equal (responses[1].ResponsePut.PrevKv.Value.ToStringUtf8()) "value of a" "prev_kv"
                      Expect.equal (responses[2].ResponseRange.Kvs[0].Value.ToStringUtf8()) "new" "after"
                      Expect.equal (responses[2].ResponseRange.Kvs[0].ModRevision) 3L "all writes have the transaction's revision"

                      Expect.equal
                          (responses[3].ResponseDeleteRange.Deleted, keys responses[3].ResponseDeleteRange.PrevKvs)
                          (1L, [ "b" ])
                          "deleted"

                      Expect.equal responses[4].ResponseRange.Kvs.Count 0 "gone"
                  }))

          Nodes.test "IterateRange gives all pages of one moment, whatever is written meanwhile" (fun () ->
              Nodes.using
                  [ "tables.names", "t"; "limits.page-bytes", "8192"; "limits.max-value-bytes", "4096"; "limits.max-key-bytes", "64" ]
                  (fun node ->
                      task {
                          let names = [ for i in 0..99 -> $"k{i:D3}" ]
                          let value = String('v', 1000)

                          for name in names do
                              let! _ = node.Put("t", name, value)
                              ()

                          use call = node.Clients.Kv.IterateRange(all ())
                          let seen = List<string>()
                          let revisions = HashSet<uint64>()
                          let mutable count = 0

                          while! call.ResponseStream.MoveNext() do
                              let page = call.ResponseStream.Current
                              count <- count + 1
                              seen.AddRange(keys page.Kvs)
                              revisions.Add page.Header.Revision |> ignore
                              Expect.equal (int page.Count) page.Kvs.Count "count of a page"
                              Expect.equal page.More (seen.Count < names.Length) "more on all pages but the last"
                              let! _ = node.Put("t", $"k{count:D3}x", "new")
                              ()

                          Expect.isGreaterThan count 1 "several pages"
                          Expect.equal (List.ofSeq seen) names "every key once, in order, and none of the new ones"
                          Expect.equal (List.ofSeq revisions) [ 100UL ] "one revision"
                          let! limited = pages node (RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero, Limit = 70L))
                          Expect.equal (limited |> List.sumBy (fun page -> page.Kvs.Count)) 70 "limit is a total over the pages"
                          Expect.isTrue (List.last limited).More "more behind the limit"
                      }))

          Nodes.test "min_revision waits for the revision and no longer" (fun () ->
              withTable (fun node ->
                  task {
                      do! fill node [ "a" ]
                      let! now = node.Clients.Kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.text "a", MinRevision = 1UL))
                      Expect.equal now.Header.Revision 1UL "it is there already"

                      let waiting =
                          node.Clients.Kv.RangeAsync(RangeRequest(Table = t, Key = Bytes.text "b", MinRevision = 2UL)).ResponseAsync

                      do! fill node [ "b" ]
                      let! reply = waiting
                      Expect.equal (keys reply.Kvs) [ "b" ] "the awaited write is seen"
                  }))

          Nodes.test "every consistency and a staleness bound of the leader site is answered with what was acknowledged before" (fun () ->
              withTable (fun node ->
                  task {
                      let requests: (RangeRequest -> unit) list =
                          [ (fun r -> r.Linearizable <- true)
                            (fun r -> r.Consistency <- Consistency.Site)
                            (fun r -> r.Consistency <- Consistency.Global)
                            (fun r -> r.MaxStalenessMs <- 1UL) ]

                      for i, change in List.indexed requests do
                          let! revision = node.Put("t", "a", string i)
                          let request = RangeRequest(Table = t, Key = Bytes.text "a")
                          change request
                          let! reply = node.Clients.Kv.RangeAsync request
                          Expect.equal (reply.Kvs[0].Value.ToStringUtf8(), reply.Header.Revision) (string i, revision) $"{request}"
                  }))

          Nodes.test "a cancelled IterateRange lets its view go" (fun () ->
              Nodes.using [ "tables.names", "t"; "limits.max-iterations", "1" ] (fun node ->
                  task {
                      let value = Bytes.ofLength 1_000_000

                      for i in 0..29 do
                          let! _ = node.Clients.Kv.PutAsync(PutRequest(Table = t, Key = Bytes.text $"k{i:D2}", Value = value))
                          ()

                      let call = node.Clients.Kv.IterateRange(all ())
                      let! _ = call.ResponseStream.MoveNext()
                      let! second = Status.ofCall (task { let! _ = pages node (all ()) in () })
                      Expect.equal second.StatusCode StatusCode.ResourceExhausted "the first one holds the only place"
                      call.Dispose()
                      do! node.Node.Iterations.IdleAsync Threading.CancellationToken.None
                      let! rest = pages node (all ())
                      Expect.equal (rest |> List.sumBy (fun page -> page.Kvs.Count)) 30 "there is room again"
                  })) ]
