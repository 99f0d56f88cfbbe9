/// How the nodes of a site come to hash a table at one revision.
module Regatta.Node.Tests.TableHashTests

open System
open System.Collections.Concurrent
open System.Collections.Immutable
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Core
open Regatta.Node
open Regatta.Node.Tests.MadeUpNodes
open Regatta.Protocol.V1Ext
open Regatta.Raft

let private t = Bytes.text "t"
let private withTable body = Nodes.using [ "tables.names", "t" ] body

let private past id revision = NodeHashes.Failed(id, revision, Rejection(StatusCode.OutOfRange, $"node {id} has passed it"))

/// Answers only when nobody wants to know any more.
let private stopped id revision token =
    task {
        try
            do! untilCancelled token
        with :? OperationCanceledException ->
            ()

        return NodeHashes.Failed(id, revision, Rejection(StatusCode.Unavailable, "stopped"))
    }

let private together =
    [ Nodes.test "when a node has passed the revision the others are stopped, and all are asked for a later one" (fun () ->
          withTable (fun node ->
              task {
                  let! _ = node.Put("t", "a", "1")
                  let asked = ConcurrentQueue<int64 * int64>()

                  let hash id revision token =
                      task {
                          asked.Enqueue(id, revision)

                          match id, revision with
                          | 3L, 1L ->
                              // What the second try's margin is made of.
                              for _ in 1..5 do
                                  let! _ = node.Put("t", "a", "1")
                                  ()

                              return past id revision
                          | _, 1L -> return! stopped id revision token
                          | _ ->
                              try
                                  do! (node.Node.Served.Get t).Group.WaitForRevisionAsync(revision, token)
                                  return NodeHashes(id, revision, content revision, chain 1L, null)
                              with :? OperationCanceledException ->
                                  // The puts below were slow; there is another try.
                                  return NodeHashes.Failed(id, revision, Rejection(StatusCode.Unavailable, "it has not come"))
                      }

                  let calling = (hashing hash noHash node).TableHash(TableHashRequest(Table = t), direct ())

                  // A put that comes before would be the newest.
                  while asked.IsEmpty && not calling.IsCompleted do
                      do! Task.Yield()

                  while not calling.IsCompleted do
                      let! _ = node.Put("t", "a", "1")
                      ()

                  let! reply = calling
                  let revisions = [ for node in reply.Nodes -> node.Revision, node.Hash.Length ] |> List.distinct
                  Expect.equal revisions [ reply.Header.Revision, 16 ] "one for all"
                  let tried = asked |> Seq.map snd |> Seq.distinct |> List.ofSeq
                  Expect.equal tried[0] 1L "at first the newest"
                  Expect.isGreaterThanOrEqual tried[1] (6L + 2L * 5L) "then twice what had come meanwhile"
              }))

      Nodes.test "a later revision that does not come since writes have ended is given up for the newest" (fun () ->
          withTable (fun node ->
              task {
                  let! _ = node.Put("t", "a", "1")
                  let asked = ConcurrentQueue<int64>()

                  let hash id revision token =
                      task {
                          if id = 1L then asked.Enqueue revision

                          match asked.Count, id with
                          | 1, 2L -> return past id revision
                          | 2, _ -> return! stopped id revision token
                          | _ -> return NodeHashes(id, revision, content revision, chain 1L, null)
                      }

                  let! reply = (hashing hash noHash node).TableHash(TableHashRequest(Table = t), direct ())
                  Expect.equal (List.ofSeq asked) [ 1L; 3L; 1L ] "what was tried"
                  Expect.equal [ for node in reply.Nodes -> node.Revision ] [ 1UL; 1UL; 1UL ] "what was compared"
              }))

      Nodes.test "when a node has passed a revision that was named, all are asked for the history up to it" (fun () ->
          withTable (fun node ->
              task {
                  let hash id revision token = if id = 2L then Task.FromResult(past id revision) else stopped id revision token
                  let history id revision _ = Task.FromResult(NodeHashes(id, revision, Nullable(), chain 8L, null))
                  let! reply = (hashing hash history node).TableHash(TableHashRequest(Table = t, Revision = 5UL), direct ())

                  Expect.equal
                      [ for node in reply.Nodes -> node.Revision, node.Hash.Length, node.ChainHash.Length ]
                      (List.replicate 3 (5UL, 0, 16))
                      "of that revision"
              })) ]

/// Node 2's way to node 1, by a call within this process; keeps what node 1 works on.
type private Link(answer: ReadOnlyMemory<byte> -> CancellationToken -> Task<ReadOnlyMemory<byte>>) =
    let work = ConcurrentQueue<Task>()
    member _.Work = work.ToArray()

    interface ISiteLink with
        member _.Nodes = ImmutableArray.Create(1L, 2L)
        member _.Unreachable = ImmutableArray.Empty
        member _.AnswerBy _ = ()

        member _.AskAsync(_, question, token) =
            let answering = answer question CancellationToken.None
            work.Enqueue answering
            answering.WaitAsync token

/// What nodes 1 and 2 ask each other of a table that both find on the running node.
let private between (node: RunningNode) =
    let nodes id link =
        let options = NodeOptions(RaftNodeId = id)
        let known () = Task.FromResult(Regatta.Protocol.Replication.ProbeResponse())
        SiteNodes(link, options, NodeAddresses options, node.Node.Served, TableHashing id, node.Node.Following, known, TimeProvider.System)

    let first = nodes 1L (Link(fun _ _ -> failtest "node 1 asks nobody"))
    let link = Link(fun question token -> first.AnswerAsync(question, token))
    nodes 2L link :> ISiteCalls, link

let private asking =
    [ Nodes.test "another node's hashes are its own ones" (fun () ->
          withTable (fun node ->
              task {
                  let! _ = node.Put("t", "a", "1")
                  let! _ = node.Put("t", "a", "2")
                  let table = node.Node.Served.Get t
                  let second, _ = between node
                  let! here = second.HashAsync(2L, table, 2L, CancellationToken.None)
                  let! there = second.HashAsync(1L, table, 2L, CancellationToken.None)

                  Expect.equal
                      (there.NodeId, there.Revision, there.Content, there.Chain, there.Failure)
                      (1L, 2L, here.Content, here.Chain, null)
                      "content and history"

                  Expect.isTrue here.Content.HasValue "with the content"
                  let! past = second.HashAsync(1L, table, 1L, CancellationToken.None)
                  Expect.isTrue past.IsPast "a moment that has passed"
                  let! history = second.ChainAsync(1L, table, 1L, CancellationToken.None)
                  Expect.equal (history.Revision, history.Content.HasValue, history.Failure) (1L, false, null) "the history is there"
                  let! own = second.ChainAsync(2L, table, 1L, CancellationToken.None)
                  Expect.equal history.Chain own.Chain "and the same"
              }))

      Nodes.test "a question that nobody waits for any more is not worked on any longer" (fun () ->
          withTable (fun node ->
              task {
                  let! _ = node.Put("t", "a", "1")
                  let second, link = between node

                  for behaviour, revision in [ Works, 99L; Endless, 1L ] do
                      node.Host.Set("t", behaviour)
                      use source = new CancellationTokenSource()
                      let asked = link.Work.Length
                      let asking = second.HashAsync(1L, node.Node.Served.Get t, revision, source.Token)
                      Expect.isFalse link.Work[asked].IsCompleted $"{behaviour}: it is worked on"
                      source.Cancel()
                      let! answer = asking
                      Expect.stringContains (string answer.Failure) "node 1 has no answer" "what the caller is told"
                      do! link.Work[asked].WaitAsync(TimeSpan.FromSeconds 60.0)
              })) ]

let tests = testList "hashes of a table" (together @ asking)
