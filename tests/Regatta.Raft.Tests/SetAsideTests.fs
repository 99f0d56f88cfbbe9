/// Groups that are in the way are kept, whole, and never come to life as something else.
module Regatta.Raft.Tests.SetAsideTests

open System
open System.IO
open System.Threading
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.NodeGroups

let private setAside (node: Node) = soonResult (node.Host.SetAsideAsync(10001L, CancellationToken.None).AsTask())

/// A node that has crashed with 20 puts in group 10001, some of them flushed and cut from the log.
let private crashed (directory: TemporaryDirectory) =
    task {
        use node = new Node(directory.Path, GroupHostOptions(Log = smallLog, Groups = GroupOptions(FlushBytes = 1L)))
        let! group = node.Start 10001L

        for i in 1..20 do
            let! _ = put group $"key{i}" $"value{i}"

            if i = 8 then do! soon (node.Host.MaintainAsync())

        Expect.equal group.Status.FirstIndex 9L "the log begins behind what is flushed"
        crash node
    }

/// What was put aside, as the only group of a node of its own.
let private putBack (aside: string) (target: string) =
    use empty = Regatta.Storage.NodeDirectory.Open(target, Regatta.Storage.NodeRole.Leader, 1L, Nullable history)
    Directory.Delete empty.LogPath
    Directory.Move(Path.Combine(aside, "log"), empty.LogPath)
    Directory.Move(Path.Combine(aside, "state"), empty.TablePath 10001L)

let private expectWhole (path: string) =
    task {
        use node = new Node(path)
        let! group = node.Start 10001L
        Expect.equal group.Reader.Revision 20L "all revisions"

        for i in 1..20 do
            Expect.equal (get group $"key{i}") (Some($"value{i}", int64 i)) "as acknowledged"
    }

let tests =
    testList
        "a group set aside"
        [ taskCase "keeps state and log, and its number is free"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use other = new TemporaryDirectory()
                  do! crashed directory

                  let! aside =
                      task {
                          use node = new Node(directory.Path)
                          let! aside = setAside node
                          Expect.isEmpty node.Host.OnDisk "out of the way"
                          let! group = node.Start 10001L
                          Expect.equal group.Reader.Revision 0L "the next one of that number begins empty"
                          return aside
                      }

                  Expect.equal aside (directory.Sub "aside/10001") "where it is"
                  putBack aside (other.Sub "back")
                  do! expectWhole (other.Sub "back")
              }

          taskCase "goes beside an earlier one of the same number"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  do! crashed directory

                  do!
                      task {
                          use node = new Node(directory.Path)
                          let! _ = setAside node
                          let! group = node.Start 10001L
                          let! _ = put group "another" "table"
                          ()
                      }

                  use node = new Node(directory.Path)
                  let! second = setAside node
                  Expect.equal second (directory.Sub "aside/10001-2") "beside the first"
                  Expect.isTrue (Directory.Exists(directory.Sub "aside/10001/state")) "which is still there"
              }

          taskCase "is whole after a crash at any point in between"
          <| fun () ->
              task {
                  // 1: the log is copied, and not deleted yet. 2: it is deleted, and the state not moved yet.
                  for point in 1..2 do
                      use directory = new TemporaryDirectory()
                      use other = new TemporaryDirectory()
                      do! crashed directory
                      let state = directory.Sub "tables/10001"
                      let copy = other.Sub "log"

                      do!
                          task {
                              use node = new Node(directory.Path)
                              let log = node.Directory.LogPath

                              if point = 1 then
                                  Directory.CreateDirectory copy |> ignore

                                  for file in Directory.GetFiles log do
                                      File.Copy(file, Path.Combine(copy, nonNull (Path.GetFileName file)))

                              let! aside = setAside node
                              Directory.Move(Path.Combine(aside, "state"), state)
                          }

                      if point = 1 then
                          Directory.Delete(directory.Sub "log", true)
                          Directory.Move(copy, directory.Sub "log")

                      let! aside =
                          task {
                              use node = new Node(directory.Path)
                              Expect.sequenceEqual node.Host.OnDisk [ 10001L ] "still in the way"
                              let! aside = setAside node
                              Expect.isEmpty node.Host.OnDisk "out of the way"
                              return aside
                          }

                      putBack aside (other.Sub "back")
                      do! expectWhole (other.Sub "back")
              }

          taskCase "is not one that runs"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use node = new Node(directory.Path)
                  let! group = node.Start 10001L
                  let! cause = refusal (fun () -> setAside node)
                  Expect.isTrue (cause :? InvalidOperationException) $"{cause.GetType().Name}: {cause.Message}"
                  let! revision = put group "a" "1"
                  Expect.equal revision 1L "it goes on"
              } ]
