/// The calls of the follower sites.
module Regatta.Node.Tests.ReplicationCalls

open System
open System.Threading
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.Replication
open Regatta.Raft
open Regatta.Node.Tests.CallRow

/// Reads the stream to its end.
let private replicate (request: ReplicateRequest) (node: RunningNode) =
    task {
        use call = node.Clients.Log.Replicate request

        while! call.ResponseStream.MoveNext CancellationToken.None do
            ()
    }
    :> Task

let private snapshot (table: ByteString) (node: RunningNode) =
    task {
        use call = node.Clients.Snapshot.Stream(SnapshotRequest(Table = table))

        while! call.ResponseStream.MoveNext CancellationToken.None do
            ()
    }
    :> Task

let private get (node: RunningNode) = node.Clients.Metadata.GetAsync(MetadataRequest()).ResponseAsync :> Task

let private refused what (request: ReplicateRequest) message = row "Replicate" Plain what invalid message (replicate request)

let private replications =
    [ row
          "Replicate"
          Plain
          "from a revision of the table, or the one that comes next"
          StatusCode.OK
          ""
          (replicate (ReplicateRequest(Table = t, LeaderIndex = 1UL)))
      row
          "Replicate"
          Plain
          "there is no such table"
          StatusCode.NotFound
          "table not found"
          (replicate (ReplicateRequest(Table = Bytes.text "none", LeaderIndex = 1UL)))
      refused "no table is named" (ReplicateRequest(LeaderIndex = 1UL)) "table must be set"
      refused "`leader_index` is 0" (ReplicateRequest(Table = t)) "invalid leaderIndex: leaderIndex must be greater than 0"
      refused
          "`leader_index` is above 2^63-1"
          (ReplicateRequest(Table = t, LeaderIndex = UInt64.MaxValue))
          "invalid leaderIndex: leaderIndex must be at most 9223372036854775807"
      refused
          "`history_id` is not of 16 bytes"
          (ReplicateRequest(Table = t, LeaderIndex = 1UL, HistoryId = Bytes.text "short"))
          "invalid history_id: must be empty or 16 bytes"
      refused
          "`incarnation` is above 2^63-1"
          (ReplicateRequest(Table = t, LeaderIndex = 1UL, HistoryId = Bytes.ofLength 16, Incarnation = UInt64.MaxValue))
          "invalid incarnation: must be at most 9223372036854775807"
      refused
          "`chain_hash` is not of 16 bytes"
          (ReplicateRequest(Table = t, LeaderIndex = 1UL, ChainHash = Bytes.text "short"))
          "invalid chain_hash: must be empty or 16 bytes"
      row
          "Replicate"
          (Setting.Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "the table's group has no leader"
          StatusCode.Unavailable
          "the group has no leader"
          (replicate (ReplicateRequest(Table = t, LeaderIndex = 1UL)))
      damaged "Replicate" (replicate (ReplicateRequest(Table = t, LeaderIndex = 1UL)))
      failed "Replicate" (replicate (ReplicateRequest(Table = t, LeaderIndex = 1UL))) ]

let private snapshots =
    [ row "Snapshot.Stream" Plain "of a table" StatusCode.OK "" (snapshot t)
      row "Snapshot.Stream" Plain "no table is named" invalid "table must be set" (snapshot ByteString.Empty)
      row "Snapshot.Stream" Plain "there is no such table" StatusCode.NotFound "table not found" (snapshot (Bytes.text "none"))
      row
          "Snapshot.Stream"
          SmallLimits
          "as many run on the node as replication.max-snapshots allows"
          StatusCode.ResourceExhausted
          "1 Snapshot.Stream calls are running on this node, which is its limit; try again when one has ended"
          (fun node ->
              task {
                  use _ = node.Node.Snapshots.Take()
                  do! snapshot t node
              }
              :> Task)
      row
          "Snapshot.Stream"
          (Setting.Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "the table's group has no leader"
          StatusCode.Unavailable
          "the group has no leader"
          (snapshot t)
      damaged "Snapshot.Stream" (snapshot t)
      failed "Snapshot.Stream" (snapshot t) ]

let private metadata =
    [ row "Metadata.Get" Plain "the tables" StatusCode.OK "" get
      row
          "Metadata.Get"
          (Setting.Catalogue(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "the catalogue's group has no leader"
          StatusCode.Unavailable
          "the group has no leader"
          get
      failed "Metadata.Get" get ]

let rows: Row list = replications @ snapshots @ metadata
