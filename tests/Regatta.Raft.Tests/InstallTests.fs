/// The nodes of a site change over to a state of another site, each at the same entry of the log.
module Regatta.Raft.Tests.InstallTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Storage
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.HostedSite
open Regatta.Raft.Tests.NodeGroups
open Regatta.Raft.Tests.FarSite

let private table = 7L
let private incarnation = GroupLife.incarnation

/// A site whose table has a few revisions, and a leader site that is far ahead.
let private apart (body: HostedSite -> FarSite -> int64 -> Task<unit>) =
    task {
        use directory = new TemporaryDirectory()
        use far = new FarSite(incarnation, Seed.current)
        far.Write 30
        use site = new HostedSite(directory.Path)
        do! site.Start table
        let! leader = site.Leader(table, site.Ids)

        for number in 1..5 do
            let! revision = put (site.Group(leader, table)) $"key{number}" "of the site"

            for id in site.Ids do
                do! soon (site.Group(id, table).WaitForRevisionAsync(revision, CancellationToken.None).AsTask())

        do! body site far leader
    }

/// Maintained as by the timer, and up to what the site has committed.
let private catchesUp (site: HostedSite) id =
    task {
        let committed () =
            task {
                do! site.Node(id).Host.MaintainAsync()
                return! barrierOrTimeout (site.Group(id, table))
            }

        do! untilSoAsync committed
    }

/// The same state on these nodes, in the same place of the log.
let private expectEqual (site: HostedSite) (ids: int64 list) revision =
    task {
        for id in ids do
            do! catchesUp site id

        let applied id = site.Group(id, table).Status.Applied
        Expect.equal (applied ids.Head).Revision revision "the revision"

        for id in ids do
            Expect.equal (applied id) (applied ids.Head) $"node {id}: index, revision and history"
            Expect.equal (recordsOf (site.Group(id, table).Reader)) (recordsOf (site.Group(ids.Head, table).Reader)) $"node {id}: content"
    }

let private othersOf (site: HostedSite) id = List.except [ id ] site.Ids

let private installing =
    testList
        "an installation"
        [ taskCase "puts the state in the table's place on every node, while reads go on, and entries follow it"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      let former = recordsOf (site.Group(leader, table).Reader)
                      let later = recordsOf far.Store
                      use ending = new CancellationTokenSource()
                      let mutable reads = 0

                      let read id =
                          while not ending.IsCancellationRequested do
                              let seen = recordsOf (site.Group(id, table).Reader)
                              Interlocked.Increment &reads |> ignore

                              if seen <> former && seen <> later then failtest $"node {id}: {fst seen} is neither one state nor the other"

                      // On threads of their own: the nodes need the pool's.
                      let reading =
                          [ for id in site.Ids ->
                                Task.Factory.StartNew(
                                    (fun () -> read id),
                                    CancellationToken.None,
                                    TaskCreationOptions.LongRunning,
                                    TaskScheduler.Default
                                ) ]

                      do! untilSo (fun () -> Volatile.Read &reads > 10)
                      let! install = stage (site.Node(leader).Host) table far CancellationToken.None
                      Expect.equal (install.Revision, install.Chain) (far.Applied.Revision, far.Applied.Chain) "the leader site's"
                      let! done' = propose (site.Group(leader, table)) install
                      Expect.equal done' (true, far.Applied.Revision) "carried out"
                      do! expectEqual site site.Ids far.Applied.Revision
                      Expect.equal (site.Group(leader, table).Status.Applied.Chain) far.Applied.Chain "the leader site's history"

                      for id in site.Ids do
                          Expect.equal
                              (site.Node(id).Directory.Generations(table).Current)
                              (site.Node(id).Directory.TablePath table)
                              "by the files"

                          Expect.contains (generationsOf (site.Node(id).Directory) table) (nameOf install) $"node {id} has waited for them"

                      let before = Volatile.Read &reads
                      do! untilSo (fun () -> Volatile.Read &reads > before + 10)
                      ending.Cancel()
                      do! soon (Task.WhenAll reading)

                      let! revision = put (site.Group((othersOf site leader).Head, table)) "after" "it"
                      Expect.equal revision (far.Applied.Revision + 1L) "the next one"
                      do! expectEqual site site.Ids revision
                  })

          taskCase "leaves a view of the former state what it was, and its files until the view is closed"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      let node, group = site.Node leader, site.Group(leader, table)
                      let former = node.Directory.TablePath table
                      let view = group.Reader.OpenView()
                      let! install = stage node.Host table far CancellationToken.None
                      let! _ = propose group install
                      do! soon (node.Host.MaintainAsync())
                      Expect.isTrue (Directory.Exists former) "somebody reads"
                      let mutable header = RecordHeader()
                      Expect.isTrue (view.TryGetHeader((bytes "key5").Span, &header)) "the former state"
                      Expect.equal view.Revision 5L "its revision"
                      view.Dispose()
                      do! soon (node.Host.MaintainAsync())
                      Expect.isFalse (Directory.Exists former) "nobody does"
                      Expect.equal (generationsOf node.Directory table) [ nameOf install ] "the table's state alone is left"
                  })

          taskCase "finds a node that has not got the state: that gets the group's whole state from another one, and goes on"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      let away = (othersOf site leader).Head
                      do! site.Crash away
                      let! install = stage (site.Node(leader).Host) table far CancellationToken.None
                      let! _ = propose (site.Group(leader, table)) install
                      let! _ = put (site.Group(leader, table)) "after" "it"
                      Expect.equal (site.Group(leader, table).Status.FirstIndex) 1L "what it lacks is in the log"
                      do! site.StartNode away
                      let! group = soonResult (site.StartGroup(away, table))

                      // The other nodes may not have been connected when it was first asked for.
                      do!
                          untilSoAsync (fun () ->
                              task {
                                  do! site.Node(away).Host.MaintainAsync()
                                  return group.Reader.Revision >= install.Revision
                              })

                      let! revision = put group "on it" "again"
                      do! expectEqual site site.Ids revision
                      Expect.isEmpty (generationsOf (site.Node(away).Directory) table) "it never had the leader site's files"
                  })

          taskCase "that brings the table no further is skipped, on every node alike"
          <| fun () ->
              apart (fun site _ leader ->
                  task {
                      let group = site.Group(leader, table)
                      let now = group.Status.Applied
                      let install life revision = InstallCommand(life, revision, ChainHash(UInt128.One), UInt128.One)

                      for what, refused in
                          [ "the same revision", install incarnation 5L
                            "a lower one", install incarnation 4L
                            "a higher one of another life", install (Incarnation(incarnation.History, 9L)) 100L
                            "and of another history", install (Incarnation(Guid.Empty, incarnation.Number)) 100L ] do
                          let! outcome = propose group refused
                          Expect.equal outcome (false, 5L) what

                      let! revision = put group "after" "them"
                      Expect.equal revision 6L "no revision was taken"
                      do! expectEqual site site.Ids 6L
                      Expect.equal group.Status.Applied.Index (now.Index + 5L) "each has its place in the log"
                  })

          taskCase "that comes twice is carried out once"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      let! install = stage (site.Node(leader).Host) table far CancellationToken.None
                      let! first = propose (site.Group(leader, table)) install
                      let! _ = put (site.Group(leader, table)) "between" "them"
                      let! second = propose (site.Group(leader, table)) install
                      Expect.equal (first, second) ((true, install.Revision), (false, install.Revision + 1L)) "once"
                      do! expectEqual site site.Ids (install.Revision + 1L)
                  })

          taskCase "serves snapshots inside the site like any state"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      let! install = stage (site.Node(leader).Host) table far CancellationToken.None
                      let! _ = propose (site.Group(leader, table)) install
                      let away = (othersOf site leader).Head
                      do! site.Crash away
                      site.Wipe away
                      do! site.StartNode away
                      let! _ = soonResult (site.StartGroup(away, table))
                      let! revision = put (site.Group(away, table)) "after" "it"
                      do! expectEqual site site.Ids revision
                      // The next state finds tables/7 there, and generations/7/current here.
                      far.Write 1
                      let! leader = site.Leader(table, site.Ids)
                      let! next = stage (site.Node(leader).Host) table far CancellationToken.None
                      let! outcome = propose (site.Group(leader, table)) next
                      Expect.equal outcome (true, far.Applied.Revision) "the next one"
                      do! expectEqual site site.Ids next.Revision
                  }) ]

let private staging =
    testList
        "a state of another site is staged"
        [ taskCase "when a majority holds it, with one node of three cut off"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      let others = othersOf site leader
                      do! site.Crash others[1]
                      let! install = stage (site.Node(leader).Host) table far CancellationToken.None

                      for id in [ leader; others[0] ] do
                          Expect.equal (generationsOf (site.Node(id).Directory) table) [ nameOf install ] $"node {id}"
                  })

          taskCase "and the node stops when a file of it cannot be synced: the next try would find it whole, and be told that it is synced"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      far.Before <-
                          fun called _ ->
                              // As from the disk, in the middle of the fetch.
                              if called = PeerMethod.SnapshotRead then raise (SyncFailedException "fsync of 000001.sst failed")
                              Task.CompletedTask

                      let host = site.Node(leader).Host
                      let! cause = refusal (fun () -> stage host table far CancellationToken.None)
                      Expect.isTrue (cause :? SyncFailedException) $"{cause.GetType().Name}: {cause.Message}"
                      let! failure = soonResult host.Failure
                      Expect.stringContains failure "000001.sst" "why the node stops"
                  })

          taskCase "not while two are cut off, and when one of them is back"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      let others = othersOf site leader

                      for id in others do
                          do! site.Crash id

                      let staging = stage (site.Node(leader).Host) table far CancellationToken.None
                      do! untilSo (fun () -> generationsOf (site.Node(leader).Directory) table <> [])
                      do! site.StartNode others[0]
                      let! _ = soonResult (site.StartGroup(others[0], table))
                      let! install = staging
                      Expect.equal (generationsOf (site.Node(others[0]).Directory) table) [ nameOf install ] "a second one has it"
                  })

          taskCase "once: the next one who asks finds it, and so does another node after a crash of the first"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      let! first = stage (site.Node(leader).Host) table far CancellationToken.None
                      let reads = far.Reads
                      let! second = stage (site.Node(leader).Host) table far CancellationToken.None
                      Expect.equal (second, far.Reads) (first, reads) "nothing was fetched"
                      let holder = othersOf site leader |> List.find (fun id -> generationsOf (site.Node(id).Directory) table <> [])
                      do! site.Crash leader
                      let! third = stage (site.Node(holder).Host) table far CancellationToken.None
                      Expect.equal (third, far.Reads) (first, reads) "nor there"
                  })

          taskCase "also soon after another one, which others still share"
          <| fun () ->
              apart (fun site far leader ->
                  task {
                      let node = site.Node leader
                      do! far.Hold()
                      let! first = stage node.Host table far CancellationToken.None
                      let! _ = propose (site.Group(leader, table)) first
                      do! expectEqual site site.Ids first.Revision
                      far.Write 1
                      let! second = stage node.Host table far CancellationToken.None
                      Expect.equal second.Revision far.Applied.Revision "what the leader site has now"
                      let! done' = propose (site.Group(leader, table)) second
                      Expect.equal done' (true, second.Revision) "carried out"
                      do! expectEqual site site.Ids second.Revision
                  })

          taskCase "no longer when the table has come as far meanwhile"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = new FarSite(incarnation, Seed.current)
                  far.Write 1
                  use site = new HostedSite(directory.Path)
                  do! site.Start table
                  let! leader = site.Leader(table, site.Ids)

                  // Their disks do not take it.
                  for id in othersOf site leader do
                      let path = site.Node(id).Directory.SnapshotPath -table
                      Directory.CreateDirectory(nonNull (Path.GetDirectoryName path)) |> ignore
                      File.WriteAllText(path, "in the way")

                  let staging = stage (site.Node(leader).Host) table far CancellationToken.None
                  do! untilSo (fun () -> generationsOf (site.Node(leader).Directory) table <> [])

                  for number in 1L .. far.Applied.Revision do
                      let! _ = put (site.Group(leader, table)) $"key{number}" "of the site"
                      ()

                  let! install = staging
                  let! outcome = propose (site.Group(leader, table)) install
                  Expect.equal outcome (false, far.Applied.Revision) "it is not needed"
              } ]

let tests = testSequenced (testList "Whole states of another site" [ installing; staging ])
