/// Range and IterateRange, which read.
module Regatta.Node.Tests.ReadCalls

open System
open System.Threading.Tasks
open Grpc.Core
open Regatta.Protocol.Sessions
open Regatta.Protocol.V1
open Regatta.Raft
open Regatta.Node.Tests.CallRow

let private range (request: RangeRequest) (node: RunningNode) = node.Clients.Kv.RangeAsync(request).ResponseAsync :> Task

let private iterate (request: RangeRequest) (node: RunningNode) =
    task {
        use call = node.Clients.Kv.IterateRange request

        while! call.ResponseStream.MoveNext() do
            ()
    }
    :> Task

/// Range and IterateRange take the same request and check it alike.
let private reads call (send: RangeRequest -> RunningNode -> Task) =
    [ row call Plain "the key has 1,024 bytes" StatusCode.OK "" (send (RangeRequest(Table = t, Key = Bytes.ofLength maxKey)))
      row call Plain "the key does not exist" StatusCode.OK "" (send (RangeRequest(Table = t, Key = Bytes.text "none")))
      row
          call
          Plain
          "`range_end` lies before `key`: an empty range"
          StatusCode.OK
          ""
          (send (RangeRequest(Table = t, Key = Bytes.text "z", RangeEnd = a)))
      row
          call
          Plain
          "`limit` is negative (checked before anything else)"
          invalid
          "limit must be a positive number"
          (send (RangeRequest(Limit = -1L, KeysOnly = true, CountOnly = true)))
      row
          call
          Plain
          "`keys_only` and `count_only`"
          invalid
          "keys_only and count_only must not be set at the same time"
          (send (RangeRequest(KeysOnly = true, CountOnly = true)))
      row
          call
          Plain
          "a revision filter is negative"
          invalid
          "min_mod_revision, max_mod_revision, min_create_revision and max_create_revision must not be negative; 0 means no bound"
          (send (RangeRequest(Table = t, Key = a, MaxCreateRevision = -1L)))
      row
          call
          Plain
          "`consistency` is no value of the enum"
          invalid
          "consistency must be LOCAL (0), SITE (1) or GLOBAL (2)"
          (send (RangeRequest(Table = t, Key = a, Consistency = enum<Consistency> 3)))
      row
          call
          Plain
          "`min_revision` is above 2^63-1"
          invalid
          "min_revision is greater than any revision can be"
          (send (RangeRequest(Table = t, Key = a, MinRevision = UInt64.MaxValue)))
      row call Plain "no table is named (checked before the key)" invalid "table must be set" (send (RangeRequest()))
      row call Plain "no key is given" invalid "key must be set" (send (RangeRequest(Table = t)))
      row
          call
          Plain
          "there is no such table (checked before lengths)"
          StatusCode.NotFound
          "table not found"
          (send (RangeRequest(Table = Bytes.text "none", Key = longKey)))
      row call Plain "the key has 1,025 bytes" tooLong (keyTooLong "key") (send (RangeRequest(Table = t, Key = longKey)))
      row
          call
          Plain
          "`range_end` has 1,025 bytes"
          tooLong
          (keyTooLong "range_end")
          (send (RangeRequest(Table = t, Key = a, RangeEnd = longKey)))
      row
          call
          Plain
          "the request has more than 4 MiB"
          StatusCode.ResourceExhausted
          oversized
          (send (RangeRequest(Table = t, Key = Bytes.ofLength (4 * 1024 * 1024))))
      row
          call
          (Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "linearizable, and the table's group has no leader"
          StatusCode.Unavailable
          "the group has no leader"
          (send (RangeRequest(Table = t, Key = a, Linearizable = true)))
      row
          call
          (Table(Refuses(GroupFailure.Overloaded, "too many reads wait")))
          "linearizable, and too much waits already"
          StatusCode.ResourceExhausted
          "too many reads wait"
          (send (RangeRequest(Table = t, Key = a, Linearizable = true)))
      row
          call
          (Table(Refuses(GroupFailure.Unknown, "leadership was lost")))
          "linearizable, and leadership was lost meanwhile"
          StatusCode.Unavailable
          "leadership was lost"
          (send (RangeRequest(Table = t, Key = a, Linearizable = true)))
      damaged call (send (RangeRequest(Table = t, Key = a)))
      failed call (send (RangeRequest(Table = t, Key = a))) ]

/// With a token of a session, and other metadata.
let private inSession (metadata: (string * (RunningNode -> string)) list) (request: RangeRequest) (node: RunningNode) =
    let headers = Grpc.Core.Metadata()

    for name, text in metadata do
        headers.Add(name, text node)

    node.Clients.Kv.RangeAsync(request, headers).ResponseAsync :> Task

/// A token that has seen the table `t`, or `table`, in a life that is later by so much.
let private token (table: string) later revision (node: RunningNode) =
    let life = (node.Node.Served.Snapshot.Find "t" |> nonNull).Incarnation
    let seen = SeenTable(life.History, life.Number + later, revision)
    SessionToken.Empty.With(ReadOnlySpan((Bytes.text table).ToByteArray()), &seen).ToString()

/// A token of a session that has seen so many tables that there is no room for more.
let private full (node: RunningNode) =
    let life = (node.Node.Served.Snapshot.Find "t" |> nonNull).Incarnation
    let seen = SeenTable(life.History, 1_000_000L, 1_000_000_000L)
    let mutable all = SessionToken.Empty
    let mutable tables = 0

    while all.HasRoomFor(life.History, ReadOnlySpan((Bytes.text $"{tables}").ToByteArray())) do
        all <- all.With(ReadOnlySpan((Bytes.text $"{tables}").ToByteArray()), &seen)
        tables <- tables + 1

    all.ToString()

let private sessions =
    let read = RangeRequest(Table = t, Key = a)

    [ row
          "any call of KV"
          Plain
          "`regatta-session` is no session token"
          invalid
          "regatta-session is not a session token: it is not base64url; send what the trailer of that name has brought, as it is"
          (inSession [ "regatta-session", (fun _ -> "no token") ] read)
      row
          "any call of KV"
          Plain
          "`regatta-session` is of another version"
          invalid
          "regatta-session is not a session token: its version is 2, and this node reads version 1; send what the trailer of that name has brought, as it is"
          (inSession [ "regatta-session", (fun _ -> "Ag") ] read)
      row
          "any call of KV"
          Plain
          "the session's token has no room for one more table"
          StatusCode.FailedPrecondition
          "the session has seen ... tables, and its token has no room for more; begin another one, or use a session for each purpose"
          (inSession [ "regatta-session", full ] read)
      row
          "any call of KV"
          Plain
          "the session has seen an earlier table of that name"
          StatusCode.FailedPrecondition
          "the table that the session has seen was deleted, and another one made under its name; the trailer regatta-session of this reply has a token to go on with"
          (inSession [ "regatta-session", token "t" -1L 5L ] read)
      row
          "any call of KV"
          Plain
          "the session has seen the table at another leader site"
          StatusCode.FailedPrecondition
          "the session has seen the table in the history ..., and here it has the history ...: another leader site, or one that was made anew; the trailer regatta-session of this reply has a token to go on with"
          (inSession
              [ "regatta-session",
                (fun _ ->
                    let seen = SeenTable(Guid.NewGuid(), 1L, 1L)
                    SessionToken.Empty.With(ReadOnlySpan(t.ToByteArray()), &seen).ToString()) ]
              read)
      row
          "any call of KV"
          ShortDeadline
          "the session has seen a later table of that name, and this node does not get to know of it within the deadline"
          StatusCode.Unavailable
          "the session has seen a newer table of that name than this node knows of; it did not come within the deadline"
          (inSession [ "regatta-session", token "t" 1000L 5L ] read)
      row
          "any call of KV"
          ShortDeadline
          "a read, and this node does not reach what the session has seen within the deadline"
          StatusCode.Unavailable
          "this node has revision ... of the table, and min_revision or the session asks for 1000000; it did not come within the deadline"
          (inSession [ "regatta-session", token "t" 0L 1000000L ] read) ]

let private deadlines =
    [ row
          "Range"
          ShortDeadline
          "`min_revision` is not reached within the deadline"
          StatusCode.Unavailable
          "this node has revision ... of the table, and min_revision or the session asks for 1000000; it did not come within the deadline"
          (range (RangeRequest(Table = t, Key = a, MinRevision = 1000000UL)))
      row
          "Range"
          (Table Hangs)
          "linearizable, and the deadline passes before the read is confirmed"
          StatusCode.DeadlineExceeded
          "the deadline passed: the read could not be confirmed to be up to date in time; a serializable read would not wait"
          (range (RangeRequest(Table = t, Key = a, Linearizable = true)))
      row
          "IterateRange"
          SmallLimits
          "more calls run than `limits.max-iterations`"
          StatusCode.ResourceExhausted
          "1 IterateRange calls are running on this node, which is its limit; try again when one has ended"
          (fun node ->
              task {
                  // The first one stays open: its pages do not fit into what a client takes unread.
                  use first = node.Clients.Kv.IterateRange(RangeRequest(Table = Bytes.text "big", Key = Bytes.zero, RangeEnd = Bytes.zero))

                  let! _ = first.ResponseStream.MoveNext()
                  do! iterate (RangeRequest(Table = t, Key = a)) node
              }) ]

let rows: Row list = reads "Range" range @ reads "IterateRange" iterate @ deadlines @ sessions
