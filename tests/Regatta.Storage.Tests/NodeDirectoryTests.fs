/// A node's data directory, and files that must survive a power loss.
module Regatta.Storage.Tests.NodeDirectoryTests

open System
open System.Collections.Immutable
open System.Diagnostics
open System.IO
open System.Text
open Expecto
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Tests

let private open' path = NodeDirectory.Open(path, NodeRole.Leader, 1L, Nullable())

let private test name body =
    testCase name (fun () ->
        use scratch = new Scratch()
        body scratch)

let private directories =
    testList
        "node directory"
        [ test "the first start makes it, the next one finds the same node" (fun scratch ->
              let path = scratch.Path "a/b/data"

              let first =
                  using (open' path) (fun directory ->
                      Expect.isTrue directory.IsNew "new"
                      Expect.isTrue (Directory.Exists directory.LogPath && Directory.Exists directory.TablesPath) "layout"
                      Expect.equal (directory.TablePath 10_007L) (Path.Combine(path, "tables", "10007")) "table"
                      File.WriteAllText(Path.Combine(directory.ScratchPath, "left"), "")
                      directory.Identity)

              Expect.equal (first.Role, first.NodeId) (NodeRole.Leader, 1L) "identity"
              Expect.notEqual first.History first.Store "ids of their own"
              use again = open' path
              Expect.isFalse again.IsNew "not new"
              Expect.equal again.Identity first "the same"
              Expect.isEmpty (Directory.GetFileSystemEntries again.ScratchPath) "scratch is emptied")

          test "the leader site's history is taken over" (fun scratch ->
              let history = Guid.NewGuid()
              use directory = NodeDirectory.Open(scratch.Path "data", NodeRole.Follower, 2L, Nullable history)
              Expect.equal (directory.Identity.Role, directory.Identity.History) (NodeRole.Follower, history) "identity")

          test "another role, node or history is refused, with a sentence" (fun scratch ->
              let path = scratch.Path "data"
              let identity = using (open' path) _.Identity

              let refused role node history =
                  Failing.message<StorageRefusedException, _>(fun () -> NodeDirectory.Open(path, role, node, history))

              Expect.stringContains (refused NodeRole.Follower 1L (Nullable())) "leader site" "role"
              Expect.stringContains (refused NodeRole.Leader 2L (Nullable())) "node 1" "node"
              Expect.stringContains (refused NodeRole.Leader 1L (Nullable(Guid.NewGuid()))) (identity.History.ToString "N") "history"
              use again = NodeDirectory.Open(path, NodeRole.Leader, 1L, Nullable identity.History)
              Expect.equal again.Identity identity "refusals change nothing")

          test "a second user is refused while the first one lives" (fun scratch ->
              let path = scratch.Path "data"
              let first = open' path
              let text = Failing.message<StorageRefusedException, _>(fun () -> open' path)
              Expect.stringContains text $"in use by process {Environment.ProcessId}" "sentence"
              first.Dispose()
              (open' path).Dispose())

          test "another process's lock counts, and ends with it" (fun scratch ->
              let path = scratch.Path "data"
              (open' path).Dispose()
              let start = ProcessStartInfo("flock", [ "--nonblock"; Path.Combine(path, "lock"); "--command"; "echo locked; read line" ])
              start.RedirectStandardOutput <- true
              start.RedirectStandardInput <- true
              use other = Process.Start start |> nonNull
              Expect.equal (other.StandardOutput.ReadLine()) "locked" "the other process has the lock"
              Expect.stringContains (Failing.message<StorageRefusedException, _>(fun () -> open' path)) "in use by" "refused"
              other.StandardInput.Close()
              other.WaitForExit()
              (open' path).Dispose())

          test "a lost or damaged identity is not replaced by a new one" (fun scratch ->
              let path = scratch.Path "data"
              (open' path).Dispose()
              let file = Path.Combine(path, "node.json")
              let text = File.ReadAllText file
              File.Delete file
              Expect.stringContains (Failing.message<StorageCorruptionException, _>(fun () -> open' path)) "node.json is missing" "missing"

              for damage in
                  [ text.Replace("\"nodeId\": 1", "\"nodeId\": 2")
                    text[.. text.Length / 2]
                    ""
                    "{}"
                    "[1]"
                    text.Replace("leader", "boss") ] do
                  File.WriteAllText(file, damage)
                  Expect.stringContains (Failing.message<StorageCorruptionException, _>(fun () -> open' path)) file damage

              File.WriteAllText(file, text.Replace("\"formatVersion\": 2", "\"formatVersion\": 3"))
              Expect.stringContains (Failing.message<StorageRefusedException, _>(fun () -> open' path)) "newer program" "a later format"
              File.WriteAllText(file, text)
              (open' path).Dispose())

          test "a directory with something else in it is refused" (fun scratch ->
              File.WriteAllText(scratch.Path "letter.txt", "")
              Expect.stringContains (Failing.message<StorageRefusedException, _>(fun () -> open' scratch.Root)) "letter.txt" "refused")

          test "drops and creations that a crash interrupted are completed" (fun scratch ->
              let path = scratch.Path "data"

              using (open' path) (fun directory ->
                  use environment = Store.environment StorageOptions.Default
                  use store = Store.openAt (directory.TablePath 10_001L) environment
                  Store.put store "a" "1"
                  store.Flush()

                  for left in [ "10002.dropped"; "10003.creating"; "10004.creating.tmp" ] do
                      let left = Directory.CreateDirectory(Path.Combine(directory.TablesPath, left))
                      File.WriteAllText(Path.Combine(left.FullName, "CURRENT"), ""))

              use directory = open' path
              let left = Directory.GetDirectories directory.TablesPath |> Array.map Path.GetFileName
              Expect.equal left [| "10001" |] "only whole tables are left") ]

let private files =
    testList
        "durable file"
        [ test "is replaced as a whole" (fun scratch ->
              let file = scratch.Path "file"

              for text in [ "first"; "the second, which is longer"; "3rd" ] do
                  DurableFile.Replace(file, ReadOnlySpan(Encoding.UTF8.GetBytes text))
                  Expect.equal (File.ReadAllText file) text "content"

              Expect.equal (Directory.GetFiles scratch.Root) [| file |] "nothing else is left")

          test "a sync that fails is an error" (fun scratch ->
              Expect.stringContains
                  (Failing.message<SyncFailedException, _>(fun () -> DurableFile.Sync(-1, "the file")))
                  "fsync of the file failed"
                  "bad descriptor"
              // A pipe can be opened and written to, but not synced.
              let pipe = scratch.Path "pipe"
              use made = Process.Start("mkfifo", pipe)
              made.WaitForExit()
              use handle = File.OpenHandle(pipe, FileMode.Open, FileAccess.ReadWrite)
              Expect.stringContains (Failing.message<SyncFailedException, _>(fun () -> DurableFile.Sync(handle, pipe))) "errno 22" "a pipe")

          test "a node of a site keeps its store from the first start on, and joins its site once" (fun scratch ->
              let path = scratch.Path "node"
              let openInSite () = NodeDirectory.OpenInSite(path, NodeRole.Leader, 2L)
              let history = Guid.NewGuid()
              let store = using (openInSite ()) (fun directory -> directory.Identity.Store)

              using (openInSite ()) (fun directory ->
                  Expect.equal (directory.Identity.Store, directory.Identity.Standing) (store, NodeStanding.New) "the same store"
                  directory.Join(history, ImmutableArray.Create(Guid.NewGuid(), store))
                  Expect.equal directory.Identity.Standing NodeStanding.Member "a founder is a member"
                  Expect.throwsT<InvalidOperationException> (fun () -> directory.Join(history, ImmutableArray.Empty)) "once")

              using (openInSite ()) (fun directory ->
                  Expect.equal (directory.Identity.History, directory.Identity.Standing) (history, NodeStanding.Member) "stored"))

          test "a store that its site does not know from its founding recovers first" (fun scratch ->
              let path = scratch.Path "node"
              let openInSite () = NodeDirectory.OpenInSite(path, NodeRole.Leader, 2L)

              using (openInSite ()) (fun directory ->
                  directory.Join(Guid.NewGuid(), ImmutableArray.Create(Guid.NewGuid()))
                  Expect.equal directory.Identity.Standing NodeStanding.Recovering "another disk")

              using (openInSite ()) (fun directory ->
                  Expect.equal directory.Identity.Standing NodeStanding.Recovering "stored"
                  directory.Admit())

              using (openInSite ()) (fun directory -> Expect.equal directory.Identity.Standing NodeStanding.Member "admitted"))

          test "a directory that cannot be synced is an error" (fun scratch ->
              let missing = scratch.Path "missing"

              Expect.stringContains
                  (Failing.message<IOException, _>(fun () -> DurableFile.SyncDirectory missing))
                  $"open of {missing} failed"
                  "missing"

              Expect.throwsT<DirectoryNotFoundException>
                  (fun () -> DurableFile.Replace(Path.Combine(missing, "file"), ReadOnlySpan.Empty))
                  "no parent")

          test "a full disk is an error" (fun _ ->
              // Everything written to it fails with ENOSPC; a rename over it would need root.
              use full = File.OpenHandle("/dev/full", FileMode.Open, FileAccess.Write)
              Expect.throwsT<IOException> (fun () -> RandomAccess.Write(full, ReadOnlySpan "x"B, 0L)) "no space")

          test "free space is told by file system" (fun scratch ->
              Expect.isGreaterThan (FreeSpace.BytesAvailable scratch.Root) 0L "here"
              Expect.equal (FreeSpace.BytesAvailable "/proc") 0L "on a file system without any"

              Expect.stringContains
                  (Failing.message<DirectoryNotFoundException, _>(fun () -> FreeSpace.BytesAvailable(scratch.Path "missing")))
                  "does not exist"
                  "missing") ]

let tests = testList "directories and files" [ directories; files ]
