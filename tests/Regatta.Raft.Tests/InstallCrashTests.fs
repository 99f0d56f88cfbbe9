/// A node alone stages and installs a state of another site: what a crash, damage or a lie makes of it.
module Regatta.Raft.Tests.InstallCrashTests

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
open Regatta.Raft.Tests.NodeGroups
open Regatta.Raft.Tests.SnapshotFixtures
open Regatta.Raft.Tests.FarSite

let private farAhead () =
    let far = new FarSite(incarnation, Seed.current)
    far.Write 30
    far

/// A node whose table has a few revisions, not flushed.
let private begun (path: string) =
    task {
        let node = new Node(path)
        let! table = node.Start group

        for number in 1..5 do
            let! _ = put table $"key{number}" "of the site"
            ()

        return node, table
    }

/// The disk at three moments: staged, applied, and what the installation was, with its place in the log.
let private moments (directory: TemporaryDirectory) (far: FarSite) =
    task {
        let path = directory.Sub "node"
        let! node, _ = begun path
        let! install = stage node.Host group far CancellationToken.None
        crash node
        do! (node :> IAsyncDisposable).DisposeAsync()
        copyDirectory path (directory.Sub "staged")
        let node = new Node(path)
        let! table = node.Start group
        let! outcome = propose table install
        Expect.equal outcome (true, far.Applied.Revision) "carried out"
        let applied = table.Status.Applied
        crash node
        do! (node :> IAsyncDisposable).DisposeAsync()
        copyDirectory path (directory.Sub "applied")
        return install, applied
    }

let private expectInstalled (what: string) (far: FarSite) (applied: AppliedState) (path: string) =
    task {
        let mutable revision = far.Applied.Revision

        // Twice: the entry is applied, and not again.
        for life in 1..2 do
            use node = new Node(path)
            let! table = node.Start group

            if life = 1 then
                Expect.equal (recordsOf table.Reader) (recordsOf far.Store) $"{what}: content"
                Expect.equal table.Status.Applied.Chain far.Applied.Chain $"{what}: history"
                Expect.equal table.Status.Applied.Index applied.Index $"{what}: its place in the log"

            Expect.equal table.Reader.Revision revision $"{what}: revision"
            let! next = put table "after" "it"
            revision <- revision + 1L
            Expect.equal next revision $"{what}: the next one"
            do! soon (node.Host.MaintainAsync())
            Expect.hasLength (generationsOf node.Directory group) 1 $"{what}: one state is left"
            Expect.isFalse (Directory.Exists(Path.Combine(path, "tables/10001"))) $"{what}: the former one is not"
            crash node
    }

let private crashes =
    testList
        "a crash"
        [ taskCase "at any point of an installation leaves one state or the other, and the next start carries it out"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()
                  let! install, applied = moments directory far
                  let generation = Path.Combine("generations/10001", nameOf install)
                  let rebase path = using (environment ()) (fun env -> TableStore.Rebase(path, applied.Index, applied.Term, env))

                  /// The log has the entry, and the state is as it was staged.
                  let before path change =
                      copyDirectory (directory.Sub "applied") path
                      Directory.Delete(Path.Combine(path, "generations"), true)
                      copyDirectory (directory.Sub "staged/generations") (Path.Combine(path, "generations"))
                      change (Path.Combine(path, generation))

                  let behind path change =
                      copyDirectory (directory.Sub "applied") path
                      change (Path.Combine(path, "tables/10001"))

                  let points =
                      [ "before anything", before, ignore
                        "half rebased",
                        before,
                        (fun path ->
                            let flushed = File.ReadAllBytes(Path.Combine(path, "FLUSHED"))
                            rebase path
                            File.WriteAllBytes(Path.Combine(path, "FLUSHED"), flushed))
                        "rebased", before, rebase
                        "rebased twice",
                        before,
                        (fun path ->
                            rebase path
                            rebase path)
                        "before `current` has its name",
                        before,
                        (fun path ->
                            rebase path
                            File.WriteAllText(Path.Combine(path, "../current.tmp"), nameOf install))
                        "behind `current`", behind, ignore
                        "the former state half deleted", behind, (fun path -> Directory.Move(path, path + ".dropped"))
                        "the former state deleted", behind, (fun path -> Directory.Delete(path, true)) ]

                  for number, (what, make, change) in List.indexed points do
                      let path = directory.Sub $"point-{number}"
                      make path change
                      do! expectInstalled what far applied path
              }

          taskCase "between staging and the proposal leaves the state for the next one"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()
                  let! install, _ = moments directory far
                  let reads = far.Reads
                  use node = new Node(directory.Sub "staged")
                  let! table = node.Start group
                  Expect.equal table.Reader.Revision 5L "not installed"
                  let! again = stage node.Host group far CancellationToken.None
                  Expect.equal (again, far.Reads) (install, reads) "found"
              } ]

let private refusals =
    let nothingStaged (node: Node) = Expect.isEmpty (generationsOf node.Directory group) "nothing is promised"

    /// A node that proposes an installation, which `change` makes one that cannot be carried out: it is not acknowledged, and the node stops.
    let stops path (far: FarSite) (change: Node -> InstallCommand -> InstallCommand) (message: string) =
        task {
            let! node, table = begun path
            use _ = node
            let! install = stage node.Host group far CancellationToken.None
            let! outcome = soonResult (table.ProposeAsync(change node install, CancellationToken.None).AsTask())
            Expect.isNull outcome.Result "not acknowledged"
            let! cause = soonResult node.Host.Failure
            Expect.stringContains cause message "why"
        }

    let refused (prepare: FarSite -> unit) (message: string) =
        task {
            use directory = new TemporaryDirectory()
            use far = farAhead ()
            let! node, table = begun directory.Path
            use _ = node
            prepare far
            let! cause = failing (stage node.Host group far CancellationToken.None)
            Expect.isTrue (cause :? InvalidDataException) $"{cause}"
            Expect.stringContains cause.Message message "why"
            nothingStaged node
            Expect.isFalse (File.Exists(directory.Sub "scratch/try-10001")) "nor left over"
            // The next one is whole.
            far.Spoil <- ignore
            far.Change <- fun _ reply -> reply
            let! install = stage node.Host group far CancellationToken.None
            let! outcome = propose table install
            Expect.equal outcome (true, far.Applied.Revision) "and is installed"
        }

    /// The manifest of an answer, told otherwise.
    let retell (change: SnapshotManifest -> SnapshotManifest) method (reply: byte array) =
        if method <> PeerMethod.SnapshotOpen then
            reply
        else
            let opened = SnapshotOpenReply.Decode(ReadOnlySpan reply)
            SnapshotOpenReply(opened.Status, change (nonNull opened.Manifest)).Encode()

    let saying (change: AppliedState -> AppliedState) =
        retell (fun manifest -> SnapshotManifest(manifest.Id, change manifest.Applied, manifest.LeaderTerm, manifest.Files))

    testList
        "a state of another site is refused"
        [ taskCase "piece by piece where the way garbles it, and fetched again"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()
                  let! node, table = begun directory.Path
                  use _ = node
                  let mutable garbled = 0

                  far.Change <-
                      fun method reply ->
                          if method = PeerMethod.SnapshotRead && Interlocked.Increment &garbled <= 2 then
                              reply[reply.Length - 1] <- reply[reply.Length - 1] ^^^ 1uy

                          reply

                  let! install = stage node.Host group far CancellationToken.None
                  let! _ = propose table install
                  Expect.isGreaterThan garbled 2 "asked again"
                  Expect.equal (recordsOf table.Reader) (recordsOf far.Store) "whole"
              }

          taskCase "file by file where the other node lies, and in the end"
          <| fun () ->
              refused
                  (fun far ->
                      far.Change <-
                          fun method reply ->
                              if method = PeerMethod.SnapshotRead then
                                  let bytes = SnapshotReadReply.Bytes(reply)
                                  bytes.Span[0] <- bytes.Span[0] ^^^ 1uy
                                  SnapshotReadReply.Seal reply

                              reply)
                  "never had the hash"

          taskCase "when it is of another life"
          <| fun () ->
              let other = Incarnation(incarnation.History, 9L)

              refused
                  (fun far -> far.Change <- saying (fun state -> AppliedState(state.Index, state.Term, state.Revision, other, state.Chain)))
                  "and it should be"

          taskCase "when it is not what was said of it"
          <| fun () ->
              refused
                  (fun far ->
                      far.Change <-
                          saying (fun state -> AppliedState(state.Index, state.Term, state.Revision + 1L, state.Incarnation, state.Chain)))
                  "holds"

          taskCase "when it cannot be opened, because the other node's disk has damaged it"
          <| fun () ->
              refused
                  (fun far ->
                      far.Spoil <-
                          fun path ->
                              for manifest in Directory.GetFiles(path, "MANIFEST-*") do
                                  flipByte manifest)
                  "cannot be opened"

          taskCase "at last when it is gone and nobody else has it: the node stops, and says where it was"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()

                  let place = Path.Combine(directory.Path, "generations", string group)

                  let losing (node: Node) (install: InstallCommand) =
                      Directory.Delete(node.Directory.Generations(group).PathOf(nameOf install), true)
                      install

                  do! stops directory.Path far losing $"is gone from {place}"

                  use again = new Node(directory.Path)
                  let! cause = failing (again.Start group)
                  Expect.stringContains cause.Message "is gone from" "and at the next start"
              }

          taskCase "at last when an entry speaks of another history: the node stops, and the table is what it was"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()

                  let forging _ (install: InstallCommand) =
                      InstallCommand(install.Incarnation, install.Revision, ChainHash(UInt128.One), install.Files)

                  do! stops directory.Path far forging "should hold revision"

                  use opened = NodeDirectory.Open(directory.Path, NodeRole.Leader, 1L, Nullable history)
                  Expect.isNull (opened.Generations(group).Current) "it has not taken the table's place"
              } ]

let private endings =
    testList
        "a table"
        [ taskCase "that is dropped while a state is fetched for it leaves nothing, and the fetch ends"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()
                  let! node, _ = begun directory.Path
                  use _ = node
                  let reached = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

                  far.Before <-
                      fun method token ->
                          if method = PeerMethod.SnapshotRead then
                              reached.TrySetResult() |> ignore
                              Task.Delay(Timeout.Infinite, token)
                          else
                              Task.CompletedTask

                  let staging = stage node.Host group far CancellationToken.None
                  do! soon reached.Task
                  do! soon (node.Host.DropAsync(group, CancellationToken.None).AsTask())
                  let! cause = failing staging
                  Expect.isTrue (cause :? ObjectDisposedException) $"{cause}"
                  Expect.isFalse (onTheWay node.Directory group) "nothing is on its way"
                  Expect.isEmpty (Directory.GetFileSystemEntries node.Directory.TablesPath) "nor in place"
                  let! cause = failing (stage node.Host group far CancellationToken.None)
                  Expect.isTrue (cause :? ObjectDisposedException) $"{cause}"
              }

          taskCase "that is dropped with all its states leaves nothing, also while its former one is read"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()
                  let! node, table = begun directory.Path
                  use _ = node
                  use _ = table.Reader.OpenView()
                  let! install = stage node.Host group far CancellationToken.None
                  let! _ = propose table install
                  do! soon (node.Host.DropAsync(group, CancellationToken.None).AsTask())
                  Expect.isEmpty (Directory.GetFileSystemEntries node.Directory.TablesPath) "the first"
                  Expect.isEmpty (Directory.GetFileSystemEntries node.Directory.GenerationsPath) "the second"
              }

          taskCase "that is set aside after an installation is set aside once, whole"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()
                  let! _, applied = moments directory far
                  let path = directory.Sub "applied"

                  do!
                      task {
                          use node = new Node(path)
                          let! _ = soonResult (node.Host.SetAsideAsync(group, CancellationToken.None).AsTask())
                          ()
                      }

                  use node = new Node(path)
                  Expect.isEmpty node.Host.OnDisk "out of the way"
                  let aside = Path.Combine(path, "aside/10001/state")
                  Expect.equal (contentOf aside).Applied applied "what the table was"
              }

          taskCase "whose files are gone is no new one"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()
                  let! install, _ = moments directory far
                  let path = directory.Sub "applied"
                  Directory.Delete(Path.Combine(path, "generations/10001", nameOf install), true)
                  use node = new Node(path)
                  let! cause = failing (node.Start group)
                  Expect.isTrue (cause :? InvalidDataException) $"{cause}"
                  Expect.stringContains cause.Message "is gone" "why"
              }

          taskCase "whose staged state is damaged gets it again"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use far = farAhead ()
                  let! install, _ = moments directory far
                  let path = directory.Sub "staged"
                  flipByte (Path.Combine(path, "generations/10001", nameOf install, "FLUSHED"))
                  use node = new Node(path)
                  let! table = node.Start group
                  let! again = stage node.Host group far CancellationToken.None
                  let! outcome = propose table again
                  Expect.equal outcome (true, far.Applied.Revision) "installed"
              } ]

let tests = testSequenced (testList "Installing on one node" [ crashes; refusals; endings ])
