/// Watch: how a watch is refused, or ends.
module Regatta.Node.Tests.WatchCalls

open System
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Node.Tests.CallRow

/// A watch that ends is as good as a call that fails so.
let private watch (change: CreateWatch -> unit) (node: RunningNode) =
    task {
        use stream = new Watching(node.Clients.Kv)
        let request = Watching.ofKey 1L "t" "a" 1UL
        change request
        do! stream.Create request
        let mutable isOver = false

        while not isOver do
            let! message = stream.Next()

            match message.End with
            | null -> isOver <- message.Events.Count > 0
            | ended -> raise (RpcException(Status(enum<StatusCode> ended.Code, ended.Reason)))
    }
    :> Task

let private send (requests: WatchRequest list) (node: RunningNode) =
    task {
        use stream = new Watching(node.Clients.Kv)

        for request in requests do
            do! stream.Send request

        while true do
            let! message = stream.Next()

            match message.End with
            | null -> ()
            | ended -> raise (RpcException(Status(enum<StatusCode> ended.Code, ended.Reason)))
    }
    :> Task

let rows: Row list =
    [ row "Watch" Plain "from a revision that is kept" StatusCode.OK "" (watch ignore)
      row
          "Watch"
          Plain
          "a message of the stream holds nothing"
          invalid
          "a message of the stream must hold create, cancel or progress"
          (send [ WatchRequest() ])
      row "Watch" Plain "`watch_id` is less than 1" invalid "watch_id must be 1 or more" (watch (fun request -> request.WatchId <- 0L))
      row
          "Watch"
          Plain
          "`start_revision` is above 2^63-1"
          invalid
          "start_revision is greater than any revision can be"
          (watch (fun request -> request.StartRevision <- UInt64.MaxValue))
      row
          "Watch"
          Plain
          "`skip_events` without `start_revision`"
          invalid
          "skip_events must be at most 2^31-1, and is for start_revision alone"
          (watch (fun request ->
              request.StartRevision <- 0UL
              request.SkipEvents <- 1UL))
      row
          "Watch"
          Plain
          "`history_id` has neither 0 nor 16 bytes, or `incarnation` comes without it"
          invalid
          "history_id must have 16 bytes, and incarnation be given with it, or neither"
          (watch (fun request -> request.HistoryId <- ByteString.CopyFromUtf8 "short"))
      row
          "Watch"
          Plain
          "`chain_hash` has neither 0 nor 16 bytes"
          invalid
          "chain_hash must have 16 bytes, or none"
          (watch (fun request -> request.ChainHash <- ByteString.CopyFromUtf8 "short"))
      row
          "Watch"
          Plain
          "`chain_hash` is not that of the revision before `start_revision`"
          StatusCode.FailedPrecondition
          "the history that was watched was given up for another one, which differs before start_revision; read the table, and watch from the revision after the one that was read"
          (fun node ->
              task {
                  let! revision = node.Put("t", "a", "once more")

                  let ofAnother (request: CreateWatch) =
                      request.StartRevision <- revision
                      request.ChainHash <- Bytes.ofLength 16

                  do! watch ofAnother node
              })
      row "Watch" Plain "no table is named" invalid "table must be set" (watch (fun request -> request.Table <- ByteString.Empty))
      row "Watch" Plain "no key is given" invalid "key must be set" (watch (fun request -> request.Key <- ByteString.Empty))
      row "Watch" Plain "the key has 1,025 bytes" tooLong (keyTooLong "key") (watch (fun request -> request.Key <- longKey))
      row "Watch" Plain "`range_end` has 1,025 bytes" tooLong (keyTooLong "range_end") (watch (fun request -> request.RangeEnd <- longKey))
      row
          "Watch"
          Plain
          "a watch of that id is open on the stream"
          StatusCode.AlreadyExists
          "watch 1 is open on this stream; choose another id, or cancel that one first"
          (send [ WatchRequest(Create = Watching.ofKey 1L "t" "a" 1UL); WatchRequest(Create = Watching.ofKey 1L "t" "a" 1UL) ])
      row
          "Watch"
          Plain
          "cancel or progress for a watch that is not open"
          StatusCode.NotFound
          "no watch 5 is open on this stream"
          (send [ WatchRequest(Cancel = 5L) ])
      row
          "Watch"
          Plain
          "the client has cancelled it"
          StatusCode.Cancelled
          "the client has cancelled the watch"
          (send [ WatchRequest(Create = Watching.ofKey 1L "t" "a" 1UL); WatchRequest(Cancel = 1L) ])
      row
          "Watch"
          Plain
          "there is no such table, or it was deleted"
          StatusCode.NotFound
          "table not found"
          (watch (fun request -> request.Table <- Bytes.text "none"))
      row
          "Watch"
          Plain
          "the table's life is another one than the client has watched"
          StatusCode.FailedPrecondition
          "the table's life that was watched is ..., and here it is ...: it was made anew, or this is another leader site's; read it, and watch from there"
          (watch (fun request ->
              request.HistoryId <- ByteString.CopyFrom(Guid.NewGuid().ToByteArray())
              request.Incarnation <- 1UL))
      row
          "Watch"
          ShortChangelog
          "`start_revision`, or the next revision of a slow client, is not kept any more; `oldest_revision` says which is"
          StatusCode.OutOfRange
          "the changes up to revision ... are not kept any more; read the table, and watch from the revision after the one that was read"
          (watch ignore)
      row
          "Watch"
          SmallLimits
          "more watches are open than `limits.max-watches`"
          StatusCode.ResourceExhausted
          "1 watches are open on this node, which is its limit; end others, or watch at another node"
          (fun node ->
              task {
                  use other = new Watching(node.Clients.Kv)
                  do! other.Create(Watching.ofKey 1L "t" "none" 1UL)
                  let! _ = other.Next()
                  do! watch ignore node
              })
      damaged "Watch" (watch ignore)
      failed "Watch" (watch ignore) ]
