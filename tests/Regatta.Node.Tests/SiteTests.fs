/// Calls that concern all nodes of a site: against a node as it is, and with other nodes that are made up.
module Regatta.Node.Tests.SiteTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Core
open Regatta.Node
open Regatta.Node.Tests.MadeUpNodes
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext

let private t = Bytes.text "t"

let private hashOf (node: RunningNode) revision =
    task {
        let! reply = node.Clients.Site.TableHashAsync(TableHashRequest(Table = t, Revision = revision))
        return reply.Header.Revision, Seq.exactlyOne reply.Nodes
    }

let private chainOf (node: RunningNode) =
    task {
        let! status = node.Clients.Cluster.StatusAsync(StatusRequest())
        return status.Tables["t"].ChainHash
    }

let private withTable body = Nodes.using [ "tables.names", "t" ] body

let private alone =
    [ Nodes.test "a node hashes what it holds, and its history" (fun () ->
          withTable (fun node ->
              task {
                  let! _ = node.Put("t", "a", "1")
                  let! revision, answer = hashOf node 0UL
                  let! chain = chainOf node
                  use view = (node.Node.Served.Get t).Group.Reader.OpenView()
                  let expected = TableHash.Of(view, CancellationToken.None).ToString()
                  Expect.equal (revision, answer.NodeId, answer.Revision, answer.Error) (1UL, 1UL, 1UL, "") "of the newest revision"

                  Expect.equal
                      (Convert.ToHexStringLower(answer.Hash.Span))
                      expected
                      "hash of the content, in the order in which it is printed"

                  Expect.equal answer.ChainHash chain "hash of the history, as in the status"
              }))

      Nodes.test "nodes that hold the same have the same hash, and another one when something changes" (fun () ->
          withTable (fun first ->
              withTable (fun second ->
                  task {
                      for node in [ first; second ] do
                          let! _ = node.Put("t", "a", "1")
                          ()

                      let! _, one = hashOf first 0UL
                      let! _, two = hashOf second 0UL
                      Expect.equal one.Hash two.Hash "the same content"
                      Expect.notEqual one.ChainHash two.ChainHash "another incarnation is another history"
                      let! _ = second.Put("t", "a", "1")
                      let! _, changed = hashOf second 0UL
                      Expect.notEqual changed.Hash two.Hash "the same value, written once more"
                  })))

      Nodes.test "a revision that is still to come is waited for, and its content hashed" (fun () ->
          withTable (fun node ->
              task {
                  let asked = hashOf node 2UL
                  let! _ = node.Put("t", "a", "1")
                  let! _ = node.Put("t", "b", "2")
                  let! revision, answer = asked
                  let! _, now = hashOf node 0UL
                  Expect.equal revision 2UL "the revision"
                  Expect.equal answer now "nothing was written since"
              }))

      Nodes.test "of a revision that has passed there is the chain hash that was its" (fun () ->
          withTable (fun node ->
              task {
                  let! _ = node.Put("t", "a", "1")
                  let! then' = chainOf node
                  let! _ = node.Put("t", "b", "2")
                  let! revision, answer = hashOf node 1UL
                  Expect.equal (revision, answer.Revision, answer.Error) (1UL, 1UL, "") "answered"
                  Expect.isTrue answer.Hash.IsEmpty "the content is gone"
                  Expect.equal answer.ChainHash then' "the history"
              }))

      Nodes.test "a table that nothing was written to has a hash, too" (fun () ->
          withTable (fun node ->
              task {
                  let! revision, answer = hashOf node 0UL
                  Expect.equal (revision, answer.Error, answer.Hash.Length) (0UL, "", 16) "of revision 0"
              }))

      Nodes.test "a client that goes away ends the reading for it" (fun () ->
          withTable (fun node ->
              task {
                  let! _ = node.Put("t", "a", "1")
                  node.Host.Set("t", Endless)
                  use gone = new CancellationTokenSource()
                  let call = node.Clients.Site.TableHashAsync(TableHashRequest(Table = t), cancellationToken = gone.Token)
                  do! gone.CancelAsync()
                  let! status = Status.ofCall call.ResponseAsync
                  Expect.equal status.StatusCode StatusCode.Cancelled "what the client sees"
                  node.Host.Set("t", Works)
                  // The next one gets its turn.
                  let! _, answer = hashOf node 0UL
                  Expect.equal answer.Error "" "answered"
              })) ]

let private several =
    [ Nodes.test "every node's answer is given, in order, with what kept those that have none" (fun () ->
          withTable (fun node ->
              task {
                  let hash (id: int64) (revision: int64) _ =
                      match id with
                      | 1L -> NodeHashes(1L, revision, content 7L, chain 8L, null)
                      | 2L -> NodeHashes(2L, revision, Nullable(), chain 8L, null)
                      | id -> NodeHashes.Failed(id, revision, Rejection(StatusCode.Unavailable, "node 3 is not reachable"))
                      |> Task.FromResult

                  let! reply = (service hash noMove node).TableHash(TableHashRequest(Table = t, Revision = 5UL), direct ())
                  let number (bytes: Google.Protobuf.ByteString) = if bytes.IsEmpty then -1 else int bytes[15]
                  Expect.equal reply.Header.Revision 5UL "the revision"

                  Expect.equal
                      [ for node in reply.Nodes -> node.NodeId, node.Revision, number node.Hash, number node.ChainHash, node.Error ]
                      [ 1UL, 5UL, 7, 8, ""; 2UL, 5UL, -1, 8, ""; 3UL, 5UL, -1, -1, "node 3 is not reachable" ]
                      "the nodes"
              }))

      Nodes.test "all nodes are asked for the revision that a barrier has found" (fun () ->
          withTable (fun node ->
              task {
                  let! _ = node.Put("t", "a", "1")
                  let hash id revision _ = Task.FromResult(NodeHashes(id, revision, content revision, chain 1L, null))
                  let! reply = (service hash noMove node).TableHash(TableHashRequest(Table = t), direct ())
                  Expect.equal [ for node in reply.Nodes -> node.Revision ] [ 1UL; 1UL; 1UL ] "the revision"
              }))

      Nodes.test "without any answer the call fails as the first node did" (fun () ->
          withTable (fun node ->
              task {
                  let hash id revision _ =
                      Task.FromResult(NodeHashes.Failed(id, revision, Rejection.Precondition $"node {id} has nothing"))

                  let! status =
                      Status.ofCall ((service hash noMove node).TableHash(TableHashRequest(Table = t, Revision = 1UL), direct ()))

                  Expect.equal (status.StatusCode, status.Detail) (StatusCode.FailedPrecondition, "node 1 has nothing") "the first one's"
              }))

      Nodes.test "leadership is moved to the node that was named, and why it is not is said" (fun () ->
          withTable (fun node ->
              task {
                  let move id _ : Task<Rejection | null> =
                      Task.FromResult(if id = 2L then null else Rejection(StatusCode.Unavailable, $"node {id} is too far behind"))

                  let service = service noHash move node
                  let! moved = service.MoveLeader(MoveLeaderRequest(Table = t, NodeId = 2UL), direct ())
                  Expect.equal moved.Leader 2UL "the new leader"
                  let! status = Status.ofCall (service.MoveLeader(MoveLeaderRequest(Table = t, NodeId = 3UL), direct ()))
                  Expect.equal (status.StatusCode, status.Detail) (StatusCode.Unavailable, "node 3 is too far behind") "why not"
                  let! status = Status.ofCall (service.MoveLeader(MoveLeaderRequest(Table = t, NodeId = UInt64.MaxValue), direct ()))
                  Expect.stringEnds status.Detail "is no node of this site, which has 1, 2, 3" "the nodes that there are"
              }))

      Nodes.test "a move that takes longer than its caller waits may still come about, and the caller is told" (fun () ->
          withTable (fun node ->
              task {
                  let move _ token : Task<Rejection | null> =
                      task {
                          do! untilCancelled token
                          return null
                      }

                  let call = DirectCall(DateTime.UtcNow.AddMilliseconds 100.0, CancellationToken.None)
                  let! status = Status.ofCall ((service noHash move node).MoveLeader(MoveLeaderRequest(Table = t, NodeId = 2UL), call))

                  Expect.equal
                      (status.StatusCode, status.Detail)
                      (StatusCode.DeadlineExceeded, "the deadline passed: node 2 may yet get the leadership; look at the status")
                      "the fate"
              })) ]

let tests = testList "the nodes of a site" (alone @ several)
