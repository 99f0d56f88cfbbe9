/// The calls that concern all nodes of the site.
module Regatta.Node.Tests.SiteCalls

open System
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.V1Ext
open Regatta.Raft
open Regatta.Node.Tests.CallRow

let private moveLeader (request: MoveLeaderRequest) (node: RunningNode) = node.Clients.Site.MoveLeaderAsync(request).ResponseAsync :> Task

let private hash (request: TableHashRequest) (node: RunningNode) = node.Clients.Site.TableHashAsync(request).ResponseAsync :> Task

/// What the calls that name a table have in common.
let private siteCalls call (send: ByteString -> RunningNode -> Task) =
    [ row call Plain "no table is named" invalid "table must be set" (send ByteString.Empty)
      row call Plain "there is no such table" StatusCode.NotFound "table not found" (send (Bytes.text "none"))
      damaged call (send t)
      failed call (send t) ]

let private moves =
    [ row "MoveLeader" Plain "the node leads already" StatusCode.OK "" (moveLeader (MoveLeaderRequest(Table = t, NodeId = 1UL)))
      row
          "MoveLeader"
          Plain
          "`node_id` is no node of the site"
          invalid
          "node_id 7 is no node of this site, which has 1"
          (moveLeader (MoveLeaderRequest(Table = t, NodeId = 7UL)))
      row
          "MoveLeader"
          (Table(Refuses(GroupFailure.NoLeader, "node 1 does not take the leadership")))
          "the node cannot lead at present"
          StatusCode.Unavailable
          "node 1 does not take the leadership"
          (moveLeader (MoveLeaderRequest(Table = t, NodeId = 1UL)))
      row
          "MoveLeader"
          (Table Hangs)
          "the node does not lead within the deadline"
          StatusCode.DeadlineExceeded
          "the deadline passed: node 1 may yet get the leadership; look at the status"
          (moveLeader (MoveLeaderRequest(Table = t, NodeId = 1UL))) ]
    @ siteCalls "MoveLeader" (fun table -> moveLeader (MoveLeaderRequest(Table = table, NodeId = 1UL)))

let private hashes =
    [ row "TableHash" Plain "the newest revision" StatusCode.OK "" (hash (TableHashRequest(Table = t)))
      row
          "TableHash"
          Plain
          "a revision that has passed: only the chain hash is there"
          StatusCode.OK
          ""
          (hash (TableHashRequest(Table = t, Revision = 1UL)))
      row
          "TableHash"
          Plain
          "`revision` is above 2^63-1"
          invalid
          "revision is greater than any revision can be"
          (hash (TableHashRequest(Table = t, Revision = UInt64.MaxValue)))
      row
          "TableHash"
          ShortChangelog
          "the changelog does not reach back to `revision` any more, on any node"
          StatusCode.FailedPrecondition
          "revision 1 is too old: this node's changelog begins with revision 3; ask for that or a later one, or for 0, the newest"
          (hash (TableHashRequest(Table = t, Revision = 1UL)))
      row
          "TableHash"
          ShortDeadline
          "`revision` is not reached within the deadline, on any node"
          StatusCode.Unavailable
          "this node has revision ... of the table, 1000000 was asked for; it did not come within the deadline"
          (hash (TableHashRequest(Table = t, Revision = 1000000UL)))
      row
          "TableHash"
          (Table Endless)
          "the table is not read to its end within the deadline, on any node"
          StatusCode.DeadlineExceeded
          "the deadline passed before the whole table was read; set a later one"
          (hash (TableHashRequest(Table = t)))
      row
          "TableHash"
          (Table RunsAhead)
          "the newest revision, and writes come faster than all nodes can be asked for one"
          StatusCode.Unavailable
          "the table is written to faster than all nodes can be asked for one revision: 8 were tried, the last of them behind revision ...; try again"
          (hash (TableHashRequest(Table = t)))
      row
          "TableHash"
          (Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "the newest revision, and the table's group has no leader"
          StatusCode.Unavailable
          "the group has no leader"
          (hash (TableHashRequest(Table = t)))
      row
          "TableHash"
          (Table Hangs)
          "the newest revision, and the deadline passes before it is known which that is"
          StatusCode.DeadlineExceeded
          "the deadline passed: the read could not be confirmed to be up to date in time; a serializable read would not wait"
          (hash (TableHashRequest(Table = t))) ]
    @ siteCalls "TableHash" (fun table -> hash (TableHashRequest(Table = table)))

let private followings =
    let following (node: RunningNode) = node.Clients.Site.FollowingAsync(FollowingRequest()).ResponseAsync :> Task

    [ row "Following" Plain "how the tables follow the leader site; of a leader site, that it is one" StatusCode.OK "" following
      row
          "Following"
          (Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "a table's group has no leader"
          StatusCode.OK
          ""
          following
      row "Following" Damaged "a table's files are damaged" StatusCode.OK "" following
      failed "Following" following ]

let private adoptions =
    let adopt table (node: RunningNode) = node.Clients.Site.AdoptAsync(AdoptRequest(Table = table)).ResponseAsync :> Task

    [ row
          "Adopt"
          Plain
          "at the leader site"
          StatusCode.FailedPrecondition
          "this is the leader site: there is nothing to adopt; ask a node of a follower site"
          (adopt t)
      row "Adopt" WithToken "without the token" StatusCode.Unauthenticated "Request unauthenticated with bearer" (adopt t) ]
    @ siteCalls "Adopt" adopt

let rows: Row list = moves @ hashes @ followings @ adoptions
