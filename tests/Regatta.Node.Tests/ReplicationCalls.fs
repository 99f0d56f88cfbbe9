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

let private probe (table: ByteString) (node: RunningNode) =
    node.Clients.Metadata.ProbeAsync(ProbeRequest(Table = table)).ResponseAsync :> Task

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

/// What the nodes of a site ask each other, as it is on the wire.
module private FileMessages =
    let openFiles = Array.append [| 1uy |] (Array.zeroCreate 16)

    /// Sixteen bytes from the beginning of a file.
    let read (id: byte array) (file: int) =
        Array.concat [ [| 1uy |]; id; BitConverter.GetBytes file; BitConverter.GetBytes 0L; BitConverter.GetBytes 16 ]

    let close (id: byte array) = Array.append [| 1uy |] id

    /// Of what was opened, out of the reply.
    let idIn (reply: ByteString) = reply.ToByteArray()[2..17]

/// Asks for files as follower sites do, with the life that the table has.
let private filesOf (node: RunningNode) (change: FilesRequest -> unit) =
    let incarnation = node.Node.Served.Snapshot.Tables |> Seq.find (fun table -> table.Name = "t") |> _.Incarnation

    let request =
        FilesRequest(
            Table = t,
            HistoryId = ByteString.CopyFrom(incarnation.History.ToByteArray(bigEndian = true)),
            Incarnation = uint64 incarnation.Number,
            Fetch = Bytes.ofLength 16,
            Call = 24u,
            Request = ByteString.CopyFrom FileMessages.openFiles
        )

    change request
    node.Clients.Snapshot.FilesAsync(request).ResponseAsync

let private files change node = filesOf node change :> Task

/// Refused before anybody looks at the table.
let private anyFiles (node: RunningNode) =
    node.Clients.Snapshot.FilesAsync(FilesRequest(Table = t, HistoryId = Bytes.ofLength 16, Fetch = Bytes.ofLength 16)).ResponseAsync
    :> Task

let private asks (call: uint32) (message: byte array) (request: FilesRequest) =
    request.Call <- call
    request.Request <- ByteString.CopyFrom message

let private fileCalls =
    let ok condition send = row "Snapshot.Files" Plain condition StatusCode.OK "" send
    let refused condition message change = row "Snapshot.Files" Plain condition invalid message (files change)
    let nobody = Array.create 16 7uy

    [ ok "opens the table's files" (files ignore)
      refused "no table is named" "table must be set" (fun request -> request.Table <- ByteString.Empty)
      refused "`fetch` is not of 16 bytes" "invalid fetch: must be 16 bytes" (fun request -> request.Fetch <- Bytes.text "short")
      refused "`history_id` is not of 16 bytes" "invalid history_id: must be 16 bytes" (fun request ->
          request.HistoryId <- Bytes.text "short")
      refused "no life is told" "invalid history_id: must be 16 bytes" (fun request -> request.HistoryId <- ByteString.Empty)
      refused "`incarnation` is above 2^63-1" "invalid incarnation: must be at most 9223372036854775807" (fun request ->
          request.Incarnation <- UInt64.MaxValue)
      row
          "Snapshot.Files"
          Plain
          "there is no such table"
          StatusCode.NotFound
          "table not found"
          (files (fun request -> request.Table <- Bytes.text "none"))
      row
          "Snapshot.Files"
          Plain
          "the table's life is another one"
          StatusCode.FailedPrecondition
          "the table's life here is ..., and not .../7"
          (files (fun request -> request.Incarnation <- 7UL))
      refused "`call` is none of files" "Call 5 is none for files." (asks 5u [||])
      refused "`call` is no call at all" "Call 255 is none for files." (asks UInt32.MaxValue [||])
      refused "opens with an empty request" "A request to open a snapshot is malformed: ..." (asks 24u [||])
      refused "opens with a garbled request" "A request to open a snapshot is malformed: ..." (asks 24u [| 1uy; 255uy |])
      refused "reads with a garbled request" "A request to read from a snapshot is malformed: ..." (asks 25u [| 9uy |])
      refused "closes with a garbled request" "A request to close a snapshot is malformed: ..." (asks 26u [| 1uy |])
      row
          "Snapshot.Files"
          Plain
          "reads a file that is not among those that it opened"
          invalid
          "Snapshot ... has ... files; number 999 was asked for."
          (fun node ->
              task {
                  let! opened = filesOf node ignore
                  let! _ = filesOf node (asks 25u (FileMessages.read (FileMessages.idIn opened.Reply) 999))
                  ()
              }
              :> Task)
      ok "reads from files that are not open any more, which `reply` says" (files (asks 25u (FileMessages.read nobody 0)))
      ok "closes files that are not open any more" (files (asks 26u (FileMessages.close nobody)))
      row
          "Snapshot.Files"
          Plain
          "opens files of a revision that the table has not reached, which `reply` says"
          StatusCode.OK
          ""
          (files (asks 24u (Array.concat [ [| 1uy |]; BitConverter.GetBytes 0L; BitConverter.GetBytes 1_000_000L ])))
      row
          "Snapshot.Files"
          Dropped
          "the table has just been deleted"
          StatusCode.Unavailable
          "the table was closed while the call ran"
          (files ignore)
      damaged "Snapshot.Files" anyFiles
      failed "Snapshot.Files" anyFiles ]

let private metadata =
    [ row "Metadata.Get" Plain "the tables" StatusCode.OK "" get
      row
          "Metadata.Get"
          (Setting.Catalogue(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "the catalogue's group has no leader"
          StatusCode.Unavailable
          "the group has no leader"
          get
      failed "Metadata.Get" get
      row "Metadata.Probe" Plain "all tables, or one" StatusCode.OK "" (probe t)
      row "Metadata.Probe" Plain "there is no such table" StatusCode.NotFound "table not found" (probe (Bytes.text "none"))
      row
          "Metadata.Probe"
          (Setting.Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "the group of the one table that is asked for has no leader"
          StatusCode.Unavailable
          "the group has no leader"
          (probe t)
      row
          "Metadata.Probe"
          (Setting.Table Hangs)
          "the deadline passes before the leadership of the table's group is confirmed"
          StatusCode.DeadlineExceeded
          "the deadline passed: the read could not be confirmed to be up to date in time; a serializable read would not wait"
          (probe t)
      damaged "Metadata.Probe" (probe t)
      failed "Metadata.Probe" (probe ByteString.Empty) ]

let rows: Row list = replications @ snapshots @ fileCalls @ metadata
