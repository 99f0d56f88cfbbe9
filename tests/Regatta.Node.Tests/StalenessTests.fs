/// Bounded staleness: every read says how stale it is at most and which site has answered, and is as recent as it was asked to be.
module Regatta.Node.Tests.StalenessTests

open System
open System.Diagnostics
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Node.Tests.Followers
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Testing

let private t = Bytes.text "t"
let private k = Bytes.text "k"
let private within (seconds: float) = Nullable(DateTime.UtcNow.AddSeconds seconds)

type private Told = { Staleness: int64 option; Site: string option }

let private told (trailers: Metadata) =
    { Staleness = trailers.GetValue "regatta-staleness-ms" |> Option.ofObj |> Option.map int64
      Site = trailers.GetValue "regatta-site" |> Option.ofObj }

let private range (node: RunningNode) (change: RangeRequest -> unit) (headers: (string * string) list) =
    let request = RangeRequest(Table = t, Key = k)
    change request
    let metadata = Metadata()
    headers |> List.iter (fun (name, value) -> metadata.Add(name, value))
    node.Clients.Kv.RangeAsync(request, metadata, within 30.0)

let private answered (call: AsyncUnaryCall<'reply>) =
    task {
        let! reply = call.ResponseAsync
        return reply, told (call.GetTrailers())
    }

let private valueOf (reply: RangeResponse) = reply.Kvs |> Seq.tryHead |> Option.map _.Value.ToStringUtf8()
let private atMost milliseconds (request: RangeRequest) = request.MaxStalenessMs <- milliseconds

/// Reads until a bound is known: the first round of a node may not be over yet.
let private known (node: RunningNode) =
    until (fun () ->
        task {
            let! _, told = answered (range node ignore [])
            return told.Staleness
        })

/// A leader site of one node with the table `t`, and a follower site of one; both have names.
let private named (body: RunningNode -> Relay -> RunningNode -> Task<unit>) =
    task {
        use home = new Scratch()
        use away = new Scratch()
        use relay = new Relay()
        use! leader = Nodes.start home.Path [ "tables.names", "t"; "memberlist.cluster-name", "home" ]
        relay.LeadTo(portOf leader)
        use! follower = start away.Path relay.Address [ "memberlist.cluster-name", "far away" ]
        do! body leader relay follower
    }

/// The follower has a write and a bound.
let private following (leader: RunningNode) (follower: RunningNode) =
    task {
        let! revision = leader.Put("t", "k", "old")
        let! _ = read follower "t" "k" revision
        let! _ = known follower
        ()
    }

let private telling =
    [ Nodes.test "every kind of read says how stale it is at most, and which site has answered it" (fun () ->
          named (fun leader _ follower ->
              task {
                  let! revision = leader.Put("t", "k", "v")
                  let! _ = read follower "t" "k" revision

                  for node, site in [ leader, "home"; follower, "far%20away" ] do
                      let! _ = known node
                      let reading = TxnRequest(Table = t)
                      reading.Success.Add(RequestOp(RequestRange = RequestOp.Types.Range(Key = k)))
                      let! _, one = answered (range node ignore [])
                      let! _, several = answered (range node (fun request -> request.RangeEnd <- Bytes.zero) [])
                      let! _, atSite = answered (range node (fun request -> request.Linearizable <- true) [])
                      let! _, txn = answered (node.Clients.Kv.TxnAsync(reading, deadline = within 30.0))
                      use pages = node.Clients.Kv.IterateRange(RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero))

                      while! pages.ResponseStream.MoveNext() do
                          ()

                      for what, told in
                          [ "Range of a key", one
                            "Range", several
                            "behind a barrier", atSite
                            "Txn", txn
                            "IterateRange", told (pages.GetTrailers()) ] do
                          Expect.equal told.Site (Some site) $"{what}: the site"
                          Expect.isSome told.Staleness $"{what}: a bound"

                  let! _, everything = answered (range follower (fun request -> request.Consistency <- Consistency.Global) [])
                  Expect.equal everything.Site (Some "home") "a global read is the leader site's answer"
                  Expect.isSome everything.Staleness "and has a bound"
                  let put = leader.Clients.Kv.PutAsync(PutRequest(Table = t, Key = k))
                  let! _, written = answered put
                  Expect.equal written { Staleness = None; Site = None } "a write says nothing of the kind"
              }))

      Nodes.test "without a way to the leader site the bound grows, and covers what has not come" (fun () ->
          named (fun leader relay follower ->
              task {
                  do! following leader follower
                  relay.LeadTo None
                  relay.Break()
                  let! _ = leader.Put("t", "k", "new")
                  let missing = Stopwatch.StartNew()

                  let! bound =
                      until (fun () ->
                          task {
                              let atLeast = missing.ElapsedMilliseconds
                              let! reply, told = answered (range follower ignore [])
                              Expect.equal (valueOf reply) (Some "old") "what is here"
                              let bound = Option.get told.Staleness
                              Expect.isGreaterThanOrEqual bound atLeast "the write that is missing is at least as old"
                              return if bound > 500L then Some bound else None
                          })

                  relay.LeadTo(portOf leader)

                  let! _ =
                      until (fun () ->
                          task {
                              let! _, told = answered (range follower ignore [])
                              return if Option.get told.Staleness < bound then Some() else None
                          })

                  let! value = follower.Get("t", "k")
                  Expect.equal value (Some "new") "and it shrinks when what was missing is here"
              })) ]

let private asking =
    [ Nodes.test "what is asked for at most so stale has every write that was acknowledged before, or is as recent as that" (fun () ->
          named (fun leader _ follower ->
              task {
                  let! _ = until (fun () -> task { return if isNull (follower.Node.Served.Snapshot.Find "t") then None else Some() })

                  for number in 1..50 do
                      let! _ = leader.Put("t", "k", string number)
                      // By now the write is older than the bound. That is narrower than the way there and back, so it is what the call itself finds out that is recent enough.
                      do! Task.Delay(TimeSpan.FromMilliseconds 3.0, TimeProvider.System)
                      let! reply, told = answered (range follower (atMost 1UL) [])
                      Expect.equal (valueOf reply) (Some(string number)) "the last write"
                      Expect.isSome told.Staleness "its bound"

                  let! _ = known follower
                  let! reply, _ = answered (range follower (atMost 3_600_000UL) [])
                  Expect.equal (valueOf reply) (Some "50") "what is here will do"

                  use pages =
                      follower.Clients.Kv.IterateRange(
                          RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero, MaxStalenessMs = 1UL)
                      )

                  let! _ = pages.ResponseStream.MoveNext()
                  Expect.equal pages.ResponseStream.Current.Kvs.Count 1 "a stream, too"
              }))

      Nodes.test "a bound that cannot be met is refused and says why, or is forwarded when asked" (fun () ->
          named (fun leader relay follower ->
              task {
                  do! following leader follower
                  // The follower's own group stands still: the news do not come, but the leader site can be asked.
                  follower.Host.Set("t", Hangs)
                  let! _ = leader.Put("t", "k", "new")
                  let request = RangeRequest(Table = t, Key = k, MaxStalenessMs = 1UL)
                  // The node's own deadline: a client's might pass before it has heard the node.
                  let! status = Status.ofCall (follower.Clients.Kv.RangeAsync(request).ResponseAsync)
                  Expect.equal status.StatusCode StatusCode.Unavailable "it does not come"

                  Expect.stringContains
                      status.Detail
                      "ms stale on this node, and max_staleness_ms asks for 1; what is newer did not come within the deadline"
                      "why"

                  let! reply, told = answered (range follower (atMost 1UL) [ "regatta-forward", "true" ])
                  Expect.equal (valueOf reply, told.Site) (Some "new", Some "home") "forwarded"
                  let! reply, told = answered (range follower (atMost 3_600_000UL) [ "regatta-forward", "true" ])
                  Expect.equal (valueOf reply, told.Site) (Some "old", Some "far%20away") "not forwarded without need"
                  relay.LeadTo None
                  relay.Break()
                  let! status = Status.ofCall (range follower (atMost 1UL) []).ResponseAsync
                  Expect.equal status.StatusCode StatusCode.Unavailable "nobody to ask"
                  Expect.stringContains status.Detail "the leader site's node at" "why"
              }))

      Nodes.test "the leader site confirms its own state when it is not known to be recent enough" (fun () ->
          Nodes.using [ "tables.names", "t"; "replication.probe-interval", "1h" ] (fun node ->
              task {
                  let! _ = node.Put("t", "k", "v")
                  let! reply, told = answered (range node (atMost 1UL) [])
                  Expect.equal (valueOf reply) (Some "v") "the write"
                  Expect.isSome told.Staleness "found out for this read"
                  node.Host.Set("t", Refuses(Regatta.Raft.GroupFailure.NoLeader, "the group has no leader"))
                  let! reply, _ = answered (range node (atMost 3_600_000UL) [])
                  Expect.equal (valueOf reply) (Some "v") "known well enough"
                  do! Task.Delay(TimeSpan.FromMilliseconds 5.0, TimeProvider.System)
                  let! status = Status.ofCall (range node (atMost 1UL) []).ResponseAsync

                  Expect.equal
                      (status.StatusCode, status.Detail)
                      (StatusCode.Unavailable, "the group has no leader")
                      "it cannot be confirmed"
              })) ]

let private probing =
    [ Nodes.test "a probe tells the history, and of each table its life, revision, chain hash and age; of one behind a barrier" (fun () ->
          Nodes.using [ "tables.names", "t,other" ] (fun node ->
              task {
                  let! revision = node.Put("t", "k", "v")

                  let! _ =
                      until (fun () ->
                          task {
                              return
                                  node.Node.Served.Snapshot.Find "other"
                                  |> Option.ofObj
                                  |> Option.bind (fun table -> Option.ofNullable table.Fresh.Latest)
                          })

                  let! all = node.Clients.Metadata.ProbeAsync(Regatta.Protocol.Replication.ProbeRequest())
                  let! one = node.Clients.Metadata.ProbeAsync(Regatta.Protocol.Replication.ProbeRequest(Table = t))
                  let table = node.Node.Served.Snapshot.Find "t" |> nonNull
                  Expect.equal (Guid(all.HistoryId.Span, true)) table.Incarnation.History "the history"
                  Expect.equal all.Tables.Count 2 "both tables"
                  let row = Seq.exactlyOne one.Tables
                  Expect.equal (row.Incarnation, row.Revision) (uint64 table.Incarnation.Number, revision) "the table"
                  let! _, _, chain = hash node "t"
                  Expect.equal (Convert.ToHexStringLower row.ChainHash.Span) chain "its history"

                  let! status =
                      Status.ofCall (
                          node.Clients.Metadata
                              .ProbeAsync(Regatta.Protocol.Replication.ProbeRequest(Table = Bytes.text "none"))
                              .ResponseAsync
                      )

                  Expect.equal (status.StatusCode, status.Detail) (StatusCode.NotFound, "table not found") "no such table"
              })) ]

let private underGo =
    [ Nodes.test "under a leader site of the Go project no bound is known, and none is promised" (fun () ->
          GoSites.using (fun _ _ _ follower ->
              task {
                  let! _ = until (fun () -> task { return if isNull (follower.Node.Served.Snapshot.Find "t") then None else Some() })
                  let! _, told = answered (range follower ignore [])
                  Expect.equal told { Staleness = None; Site = Some "default" } "only the site"
                  let! status = Status.ofCall (range follower (atMost 1000UL) []).ResponseAsync
                  Expect.equal status.StatusCode StatusCode.Unimplemented "refused"
                  Expect.stringContains status.Detail "the leader site is one of the Go project" "why"
              })) ]

let tests = testList "Staleness" (telling @ asking @ probing @ underGo)
