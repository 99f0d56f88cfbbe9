/// What a leader site tells its followers by its log.
module Regatta.Node.Tests.ReplicationTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Node.Tests.WireFollower
open Regatta.Protocol.Replication
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Testing

let private pulling =
    [ Nodes.test "a follower has the same table when it has read the log, whatever was done to it" (fun () ->
          withTable [] (fun node ->
              task {
                  let draw = Random Seed.current

                  for _ in 1..400 do
                      do! randomWrite draw node

                  let copy = Copy()
                  let! messages = pull node (from 1UL)
                  applyAll copy messages
                  let! revision, rows = content node
                  Expect.equal copy.Revision revision "all revisions"
                  Expect.equal copy.Rows rows "the same records"
                  let last = List.last messages
                  Expect.equal last.ResponseCase ReplicateResponse.ResponseOneofCase.None "the end has no content"
                  Expect.equal last.LeaderIndex revision "and says how far the table is"
              }))

      Nodes.test "it goes on where it was" (fun () ->
          withTable [] (fun node ->
              task {
                  let copy = Copy()

                  for round in 1..3 do
                      for number in 1..5 do
                          let! _ = node.Put("t", $"k{number}", $"{round}")
                          ()

                      let! messages = pull node (from (copy.Revision + 1UL))
                      applyAll copy messages

                  Expect.equal copy.Revision 15UL "each once"
                  let! nothing = pull node (from 16UL)

                  Expect.equal
                      [ for message in nothing -> message.ResponseCase ]
                      [ ReplicateResponse.ResponseOneofCase.None ]
                      "only the end"
              }))

      Nodes.test "messages are no larger than asked for, but for a single larger revision" (fun () ->
          withTable [ "replication.max-send-message-size-bytes", "64KiB" ] (fun node ->
              task {
                  for number in 1..40 do
                      let! _ = node.Put("t", $"k{number}", String('v', (if number = 20 then 200_000 else 10_000)))
                      ()

                  let! messages = pull node (from 1UL)
                  let copy = Copy()
                  applyAll copy messages
                  Expect.equal copy.Revision 40UL "all"
                  let behind = [ for message in messages -> message.BehindBytes ]

                  Expect.isTrue
                      (behind |> List.pairwise |> List.forall (fun (a, b) -> a >= b))
                      $"less and less is behind them: %A{behind}"

                  Expect.isGreaterThan behind.Head 400_000UL "most is behind the first one"
                  Expect.equal (List.skip (behind.Length - 2) behind) [ 0UL; 0UL ] "nothing behind the last commands and the end"

                  for message in messages do
                      if message.CalculateSize() > 68_000 then
                          Expect.equal
                              [ for command in message.CommandsResponse.Commands -> command.LeaderIndex ]
                              [ 20UL ]
                              "the large one, alone"
              }))

      Nodes.test "a stream that follows carries what is committed afterwards" (fun () ->
          withTable [] (fun node ->
              task {
                  let request = from 1UL
                  request.Follow <- true
                  use call = node.Clients.Log.Replicate request
                  let copy = Copy()

                  for number in 1..20 do
                      let! _ = node.Put("t", "k", $"{number}")

                      while copy.Revision < uint64 number do
                          let! isOpen = call.ResponseStream.MoveNext CancellationToken.None
                          Expect.isTrue isOpen "it does not end"
                          applyAll copy [ call.ResponseStream.Current ]
                          Expect.isGreaterThanOrEqual call.ResponseStream.Current.LeaderIndex copy.Revision "the table's revision"

                  Expect.equal copy.Rows [ Convert.ToHexString("k"B), Convert.ToHexString("20"B) ] "the last value"
              }))

      Nodes.test "a stream that follows ends when the node stops, and when its table is deleted" (fun () ->
          withTable [] (fun node ->
              task {
                  let follow () =
                      let request = from 1UL
                      request.Follow <- true
                      node.Clients.Log.Replicate request

                  let ending (call: AsyncServerStreamingCall<ReplicateResponse>) =
                      Status.ofCall (
                          task {
                              while! call.ResponseStream.MoveNext CancellationToken.None do
                                  ()
                          }
                      )

                  use deleted = follow ()
                  let! _ = node.Put("t", "k", "v")
                  let! isOpen = deleted.ResponseStream.MoveNext CancellationToken.None
                  Expect.isTrue isOpen "it is on its way"
                  let! _ = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "t"))
                  let! gone = ending deleted

                  Expect.equal
                      (gone.StatusCode, gone.Detail)
                      (StatusCode.Unavailable, "the table was closed while the call ran")
                      "deleted"

                  let! _ = node.Create "t"
                  let! _ = node.Put("t", "k", "v")
                  use stopped = follow ()
                  let! isOpen = stopped.ResponseStream.MoveNext CancellationToken.None
                  Expect.isTrue isOpen "it is on its way"
                  let stopping = node.Node.StopAsync()
                  let! status = ending stopped

                  Expect.equal
                      (status.StatusCode, status.Detail)
                      (StatusCode.Unavailable, "the node is stopping; try another one")
                      "stopped"

                  do! stopping
              })) ]

let private around =
    [ Nodes.test "the list of tables is sorted by name" (fun () ->
          Nodes.using [ "tables.names", "b,a,c" ] (fun node ->
              task {
                  let! reply = node.Clients.Metadata.GetAsync(MetadataRequest())

                  Expect.equal
                      [ for table in reply.Tables -> table.Name, table.Type ]
                      [ for name in [ "a"; "b"; "c" ] -> name, Table.Types.Type.Replicated ]
                      "all"
              }))

      Nodes.test "the port takes the writes that follower sites pass on" (fun () ->
          withTable [] (fun node ->
              task {
                  let! reply = node.Clients.ReplicationKv.PutAsync(PutRequest(Table = t, Key = Bytes.text "k", Value = Bytes.text "v"))
                  Expect.equal reply.Header.Revision 1UL "its revision"
                  let! value = node.Get("t", "k")
                  Expect.equal value (Some "v") "there"
              }))

      Nodes.test "nothing listens where replication is not enabled" (fun () ->
          withTable [ "replication.enabled", "false" ] (fun node ->
              task {
                  Expect.isNull node.Node.ReplicationAddress "no port"
                  let! _ = node.Put("t", "k", "v")
                  ()
              })) ]

let tests = testList "for follower sites" (pulling @ around)
