/// A fetched state becomes the table's, wherever a crash strikes.
module Regatta.Raft.Tests.SnapshotInstallTests

open System
open System.Collections.Generic
open System.IO
open Expecto
open Regatta.Raft
open Regatta.Storage
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.NodeGroups
open Regatta.Raft.Tests.SnapshotFixtures
open Regatta.Raft.Tests.SnapshotInstallFixtures

let private crashes =
    testList
        "installing"
        [ taskCase "puts state and log in place"
          <| fun () ->
              task {
                  use serving = new ServingNode(1)

                  for name, former, bounds in formers do
                      use directory = new TemporaryDirectory()
                      let! fetched = prepare directory.Path serving former
                      let steps = List<InstallStep>()
                      let! installed = install directory.Path fetched null steps.Add
                      Expect.isTrue installed name
                      Expect.sequenceEqual steps (Enum.GetValues<InstallStep>()) "all steps, in order"
                      let! found = start directory.Path
                      expectInstalled name serving former bounds found
                      Expect.isEmpty (Directory.GetFileSystemEntries(directory.Sub "snapshots")) "nothing is left over"
              }

          taskCase "interrupted anywhere, is finished at the next start or has not happened"
          <| fun () ->
              task {
                  use serving = new ServingNode(2)

                  for name, former, bounds in formers do
                      use directory = new TemporaryDirectory()
                      let node = directory.Sub "node"
                      let! fetched = prepare node serving former
                      let points = List<string>()

                      // What the disk holds if the process dies here; behind each step, and before each round of the log.
                      let point what =
                          let name = $"{points.Count}-{what}"
                          points.Add name
                          copyDirectory node (directory.Sub name)

                      point "Fetched"
                      let! _ = install node fetched (Action(fun () -> point "Round")) (fun step -> point (string step))
                      Expect.isGreaterThan points.Count 7 "points"

                      for name' in points do
                          let path = directory.Sub name'
                          let state = Path.Combine(path, "tables/10001")

                          if name'.EndsWith "MovedAway" then
                              let copy = Path.Combine(path, "snapshots/10001/state")
                              Expect.equal (contentOf copy) (serving.ContentAt 60L) "the new state is whole"

                              if not former.Terms.IsEmpty then
                                  let replaced = Path.Combine(path, "snapshots/10001.replaced")
                                  Expect.equal (contentOf replaced).Applied.Index 10L "the former state is still there"
                          elif not former.Terms.IsEmpty then
                              Expect.contains [ 10L; 60L ] (contentOf state).Applied.Index "a whole state is in place"

                          if name' = "0-Fetched" && not former.Terms.IsEmpty then
                              let! found = start path
                              Expect.equal (found.Content.Applied.Index, found.First) (10L, 1L) "it has not happened"
                          elif name' <> "0-Fetched" then
                              let! found = start path
                              expectInstalled $"{name}, {name'}" serving former bounds found
                              Expect.isEmpty (Directory.GetFileSystemEntries(Path.Combine(path, "snapshots"))) "nothing is left over"
              }

          taskCase "interrupted while the former state is deleted, is finished too"
          <| fun () ->
              task {
                  use serving = new ServingNode(3)
                  use directory = new TemporaryDirectory()
                  let node = directory.Sub "node"
                  let _, former, bounds = formers.Head
                  let! fetched = prepare node serving former

                  let! _ =
                      install node fetched null (fun step ->
                          if step = InstallStep.MovedIn then
                              copyDirectory node (directory.Sub "half")
                              File.Delete(directory.Sub "half/snapshots/10001.replaced/CURRENT"))

                  let! found = start (directory.Sub "half")
                  expectInstalled "half deleted" serving former bounds found
              }

          taskCase "without being completed, is refused by the log: its state is ahead"
          <| fun () ->
              task {
                  use serving = new ServingNode(4)
                  use directory = new TemporaryDirectory()
                  let node = directory.Sub "node"
                  let _, former, _ = formers.Head
                  let! fetched = prepare node serving former

                  let! _ =
                      install node fetched null (fun step -> if step = InstallStep.MovedIn then copyDirectory node (directory.Sub "cut"))

                  File.Delete(directory.Sub "cut/snapshots/10001.installed")
                  let! cause = failing (start (directory.Sub "cut"))

                  Expect.stringContains
                      cause.Message
                      "the table's state on disk is already at 60"
                      "a control: this is what the marker is for"
              } ]

let private refusals =
    testList
        "installing is refused"
        [ taskCase "when the table has come as far by itself"
          <| fun () ->
              task {
                  use serving = new ServingNode(5)
                  use directory = new TemporaryDirectory()
                  let! fetched = prepare directory.Path serving { Terms = repeated 80 3L; Term = 3L }

                  do!
                      task {
                          use environment = environment ()
                          use store = TableStore.Open(directory.Sub "tables/10001", incarnation, environment)
                          fill store (Random 1) 50
                          store.Flush()
                      }

                  let! installed = install directory.Path fetched null ignore
                  Expect.isFalse installed "not needed"
                  let! found = start directory.Path
                  Expect.equal (found.Content.Applied.Index, found.First, found.Last) (60L, 1L, 80L) "as it was"
                  Expect.notEqual found.Content (serving.ContentAt 60L) "its own state"
                  Expect.isEmpty (Directory.GetFileSystemEntries(directory.Sub "snapshots")) "nothing is left over"
              }

          taskCase "when the log begins behind it, or it is not what it says"
          <| fun () ->
              task {
                  use serving = new ServingNode(6)
                  use directory = new TemporaryDirectory()
                  let! fetched = prepare directory.Path serving { Terms = repeated 20 3L; Term = 3L }
                  let wrong = FetchedSnapshot(group, fetched.Directory, appliedAt 61L 3L, 5L, fetched.Files)
                  let! cause = failing (install directory.Path wrong null ignore)
                  Expect.isTrue (cause :? InvalidDataException) $"{cause}"

                  do!
                      task {
                          use node = NodeDirectory.Open(directory.Path, NodeRole.Leader, 1L, Nullable history)

                          do!
                              withLog node null (fun log ->
                                  task { do! enqueue log [ LogOp.Put(group, HardState(5L, Nullable(), 61L, 3L)) ] })
                      }

                  let! cause = failing (install directory.Path fetched null ignore)
                  Expect.stringContains cause.Message "the log begins behind 61" "a newer one is needed"
                  Expect.isFalse (File.Exists(directory.Sub "snapshots/10001.installed")) "nothing was begun"
              }

          taskCase "with a damaged marker or without the state that it speaks of"
          <| fun () ->
              task {
                  use serving = new ServingNode(7)

                  for flipped in [ true; false ] do
                      use directory = new TemporaryDirectory()
                      let node = directory.Sub "node"
                      let! fetched = prepare node serving { Terms = repeated 20 3L; Term = 3L }

                      let! _ =
                          install node fetched null (fun step -> if step = InstallStep.Marked then copyDirectory node (directory.Sub "cut"))

                      let marker = directory.Sub "cut/snapshots/10001.installed"

                      if flipped then
                          let bytes = File.ReadAllBytes marker
                          bytes[12] <- bytes[12] ^^^ 1uy
                          File.WriteAllBytes(marker, bytes)
                      else
                          Directory.Delete(directory.Sub "cut/snapshots/10001", true)

                      let! cause = failing (start (directory.Sub "cut"))
                      Expect.isTrue (cause :? InvalidDataException && cause.Message.Contains marker) $"{cause}"
              }

          taskCase "to a fetch: while one is being installed no other is begun; a dropped table's is discarded"
          <| fun () ->
              task {
                  use serving = new ServingNode(8)
                  use directory = new TemporaryDirectory()
                  let node = directory.Sub "node"
                  let! fetched = prepare node serving { Terms = []; Term = 0L }

                  let! _ =
                      install node fetched null (fun step -> if step = InstallStep.Marked then copyDirectory node (directory.Sub "cut"))

                  use cut = new FetchingNode(directory.Sub "cut", TimeProvider.System)
                  let! cause = failing (cut.Fetch(DirectPeer(serving, 2L)))
                  Expect.isTrue (cause :? InvalidOperationException) $"{cause}"
                  SnapshotInstall.Discard(cut.Directory, group)
                  SnapshotInstall.Discard(cut.Directory, group)
                  Expect.isEmpty (Directory.GetFileSystemEntries(directory.Sub "cut/snapshots")) "discarded"
                  let! _ = cut.Fetch(DirectPeer(serving, 2L))
                  ()
              } ]

let private after =
    testList
        "after it"
        [ taskCase "the group starts from it and goes on"
          <| fun () ->
              task {
                  use serving = new ServingNode(9)
                  use directory = new TemporaryDirectory()
                  let! fetched = prepare directory.Path serving { Terms = []; Term = 0L }
                  let! _ = install directory.Path fetched null ignore
                  use node = new NodeGroups.Node(directory.Path)
                  let! running = node.Start group
                  Expect.equal running.Reader.Revision (serving.ContentAt 60L).Applied.Revision "as the source"
                  Expect.isGreaterThan running.Term 5L "a term behind the leader's"
                  let! revision = GroupCalls.put running "after" "it"
                  Expect.equal revision ((serving.ContentAt 60L).Applied.Revision + 1L) "the next revision"
              }

          testCase "its marker was these bytes"
          <| fun () ->
              let bytes = InstallMarker(258L, 3L, 5L).Encode()
              Expect.equal (Convert.ToHexString bytes[8..]) "01020100000000000003000000000000000500000000000000" "fields"
              let mutable back = InstallMarker()
              Expect.isNull (InstallMarker.Decode(ReadOnlySpan bytes, &back)) "sound"
              Expect.equal back (InstallMarker(258L, 3L, 5L)) "back"

              for length in 0 .. bytes.Length - 1 do
                  Expect.isNotNull (InstallMarker.Decode(ReadOnlySpan bytes[.. length - 1], &back)) $"cut at {length}"

              for at in 0 .. bytes.Length - 1 do
                  let other = Array.copy bytes
                  other[at] <- other[at] ^^^ 4uy
                  Expect.isNotNull (InstallMarker.Decode(ReadOnlySpan other, &back)) $"flipped at {at}" ]

let tests = testList "a fetched state" [ crashes; refusals; after ]
