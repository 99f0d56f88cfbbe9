/// A fetch that ends early leaves nothing running, says why, and can go on.
module Regatta.Raft.Tests.SnapshotEndTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Logging.Abstractions
open Microsoft.Extensions.Time.Testing
open Regatta.Core
open Regatta.Raft
open Regatta.Storage
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.NodeGroups
open Regatta.Raft.Tests.SnapshotFixtures

let tests =
    testList
        "a fetch that ends"
        [ taskCase "by cancellation, at any call, leaves no call behind; the next one goes on"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(21)
                  let peer = DirectPeer(serving, 2L)
                  use node = new FetchingNode(directory.Path, TimeProvider.System)
                  let mutable result = None
                  let mutable ends = 0

                  while result.IsNone do
                      use cancellation = new CancellationTokenSource()
                      let mutable left = 1 + 7 * ends

                      peer.Fate <-
                          fun method ->
                              left <- left - 1
                              if left = 0 && method <> PeerMethod.SnapshotClose then cancellation.Cancel()
                              Answered

                      try
                          let! fetched = node.Fetch(peer, 0L, cancellation.Token)
                          result <- Some fetched
                      with :? OperationCanceledException ->
                          ends <- ends + 1
                          Expect.equal peer.Running 0 "no call is under way"

                  Expect.isGreaterThan ends 3 "it was cancelled"
                  Expect.equal (contentOf result.Value.Directory) (serving.ContentAt 60L) "whole"
              }

          taskCase "because a call is not answered in time, says which"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let time = FakeTimeProvider()
                  use node = new FetchingNode(directory.Path, time)
                  let asked = TaskCompletionSource()

                  let silent =
                      { new IPeer with
                          member _.NodeId = 3L
                          member _.IsConnected = true
                          member _.Silence = TimeSpan.Zero

                          member _.CallAsync(_, _, _, token) =
                              task {
                                  asked.SetResult()
                                  do! Task.Delay(Timeout.InfiniteTimeSpan, time, token)
                                  return ReadOnlyMemory<byte>()
                              } }

                  let fetch = node.Fetch silent
                  do! soon asked.Task
                  time.Advance(TimeSpan.FromSeconds 59.)
                  Expect.isFalse fetch.IsCompleted "59 s"
                  time.Advance(TimeSpan.FromSeconds 1.)
                  let! cause = failing fetch
                  Expect.isTrue (cause :? TimeoutException) $"{cause}"
                  Expect.equal cause.Message $"Node 3 did not answer SnapshotOpen of group {group} within 60 s." "which"
              }

          taskCase "because the other node has another life of the table, fetches nothing of it"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(22)
                  let peer = DirectPeer(serving, 2L)
                  use node = NodeDirectory.Open(directory.Path, NodeRole.Leader, 1L, Nullable history)
                  let other = Incarnation(history, group + 1L)
                  let fetch = SnapshotFetch(node, group, other, fetchOptions, TimeProvider.System, NullLogger<SnapshotFetch>.Instance)
                  let! cause = failing (fetch.RunAsync(peer, SnapshotOpenRequest 0L, CancellationToken.None))
                  Expect.isTrue (cause :? System.IO.InvalidDataException && cause.Message.Contains(string other)) $"{cause}"
                  Expect.equal (peer.Calls PeerMethod.SnapshotRead) 0 "nothing was read"
              }

          taskCase "because the other node does not know the group, says what that said"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(23)
                  use node = NodeDirectory.Open(directory.Path, NodeRole.Leader, 1L, Nullable history)
                  let fetch = SnapshotFetch(node, 77L, incarnation, fetchOptions, TimeProvider.System, NullLogger<SnapshotFetch>.Instance)
                  let! cause = failing (fetch.RunAsync(DirectPeer(serving, 2L), SnapshotOpenRequest 0L, CancellationToken.None))
                  Expect.isTrue (cause :? PeerCallException) $"{cause}"
                  Expect.equal cause.Message "Group 77 is not on this node." "its words"
              }

          taskCase "at a refusal tells why, by kind"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use serving = new ServingNode(9)
                  let peer = DirectPeer(serving, 2L)
                  use node = new FetchingNode(directory.Path, TimeProvider.System)

                  let reason (work: Task) =
                      task {
                          match! failing work with
                          | :? SnapshotUnavailableException as e -> return e.Reason
                          | e -> return failtest $"{e}"
                      }

                  let! behind = reason (node.Fetch(peer, 1000L, CancellationToken.None))
                  Expect.equal behind SnapshotRefusal.Behind "behind"
                  do! serving.Forget()

                  let opening (number: int64) =
                      let request = ReadOnlyMemory(SnapshotOpenRequest(0L).Encode())
                      serving.Source.HandleAsync(5L, number, PeerMethod.SnapshotOpen, request, CancellationToken.None).AsTask()

                  let! _ = Task.WhenAll [| for number in 1L .. 3L -> opening number |]
                  let! busy = reason (node.Fetch peer)
                  Expect.equal busy SnapshotRefusal.Busy "busy"
                  do! serving.Forget()

                  peer.Fate <-
                      fun method ->
                          (if method = PeerMethod.SnapshotRead then serving.Forget().GetAwaiter().GetResult())
                          Answered

                  let! gone = reason (node.Fetch peer)
                  Expect.equal gone SnapshotRefusal.Gone "gone"
              } ]
