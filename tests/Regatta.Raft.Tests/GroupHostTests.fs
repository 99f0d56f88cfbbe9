module Regatta.Raft.Tests.GroupHostTests

open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.NodeGroups

let private basics =
    testList
        "groups of a node"
        [ taskCase "a put is applied when it is acknowledged, with a revision of its own"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path)
                  let! group = node.Start 10001L

                  for i in 1..20 do
                      let! revision = put group $"key{i}" $"value{i}"
                      Expect.equal revision (int64 i) "revision"
                      Expect.equal (get group $"key{i}") (Some($"value{i}", int64 i)) "visible at once"

                  let! confirmed = barrier group
                  Expect.isTrue confirmed.Succeeded "the only member leads"
                  Expect.equal group.LeaderNodeId 1L "leader"
                  Expect.isGreaterThan group.Term 0L "term"
              }

          taskCase "after a restart everything is there, in a new term"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  let! before =
                      task {
                          use node = new Node(directory.Path)
                          let! group = node.Start 10001L

                          for i in 1..50 do
                              let! _ = put group $"key{i % 7}" $"value{i}"
                              ()

                          return group.Status
                      }

                  use node = new Node(directory.Path)
                  Expect.sequenceEqual node.Host.OnDisk [ 10001L ] "found on disk"
                  let! group = node.Start 10001L
                  Expect.equal group.Status.Applied before.Applied "the same state"
                  Expect.equal (get group "key1") (Some("value50", 50L)) "the last value"
                  Expect.isGreaterThan group.Term before.Term "a new life is a new term"
                  let! revision = put group "next" "one"
                  Expect.equal revision 51L "revisions go on"
              }

          taskCase "a dropped group is gone, and its directory too"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path)
                  let! first = node.Start 10001L
                  let! second = node.Start 10002L
                  let! _ = put first "a" "1"
                  let! _ = put second "b" "2"
                  do! soon (node.Host.DropAsync(10001L, CancellationToken.None).AsTask())
                  do! soon (node.Host.DropAsync(10001L, CancellationToken.None).AsTask())
                  Expect.sequenceEqual node.Host.OnDisk [ 10002L ] "what is left"
                  Expect.isFalse (Directory.Exists(node.Directory.TablePath 10001L)) "the directory is gone"
                  let! outcome = propose first "a" "2"
                  Expect.equal outcome.Failure GroupFailure.Stopped "the old handle says so"
                  Expect.equal (get second "b") (Some("2", 1L)) "the other one goes on"
              } ]

let private many =
    testList
        "a hundred groups"
        [ taskCase "share the log and its syncs, and are all there after a crash"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let ids = [| for number in 1L .. 100L -> 10000L + number |]
                  let rounds = Scale.pick 5 50

                  do!
                      task {
                          use node = new Node(directory.Path)
                          let! groups = Task.WhenAll [| for id in ids -> node.Start id |]
                          let before = node.Host.Setting.Log.Rounds

                          for round in 1..rounds do
                              let! revisions = Task.WhenAll [| for group in groups -> put group "key" $"{group.GroupId}/{round}" |]
                              Expect.allEqual revisions (int64 round) "each table counts for itself"

                          let synced = node.Host.Setting.Log.Rounds - before
                          // How many fewer is the disk's affair; LogStoreTests has what waits go together.
                          Expect.isLessThan synced (int64 (rounds * 100)) "fewer syncs than puts"
                          crash node
                      }

                  use node = new Node(directory.Path)
                  Expect.sequenceEqual node.Host.OnDisk ids "all are found"
                  let! groups = Task.WhenAll [| for id in ids -> node.Start id |]

                  for group in groups do
                      Expect.equal (get group "key") (Some($"{group.GroupId}/{rounds}", int64 rounds)) "the last value"
              } ]

let tests = testList "GroupHost" [ basics; many ]
