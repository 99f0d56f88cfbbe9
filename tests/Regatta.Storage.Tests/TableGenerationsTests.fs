/// States that can take the place of a table's.
module Regatta.Storage.Tests.TableGenerationsTests

open System
open System.IO
open Expecto
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Tests

/// A group's directories under a scratch directory, and whole states to put there.
type private Group(scratch: Scratch) =
    let environment = Store.environment StorageOptions.Default
    member _.Root = scratch.Path "generations/7"
    member _.First = scratch.Path "tables/7"
    member group.Generations = TableGenerations(group.Root, group.First)
    member _.Environment = environment

    /// A closed table at this revision, and this index as revisions come one by one.
    member _.Make(path: string, revision: int) =
        use store = Store.openAt path environment

        for number in 1..revision do
            Store.put store $"k{number}" $"at {revision}"

        store.Flush()

    member group.Add(name: string, revision: int) =
        let path = scratch.Path $"made-{Guid.NewGuid():N}"
        group.Make(path, revision)
        group.Generations.Add(name, path)

    member group.Names = group.Generations.All |> Seq.map (fun path -> string (Path.GetFileName path)) |> Seq.sort |> List.ofSeq

    /// Everything that is on the disk of it.
    member group.Entries =
        [ for parent in [ scratch.Path "generations"; scratch.Path "tables" ] do
              if Directory.Exists parent then
                  for entry in Directory.GetFileSystemEntries parent do
                      string (Path.GetFileName entry) ]

    interface IDisposable with
        member _.Dispose() = environment.Dispose()

let private test name body =
    testCase name (fun () ->
        use scratch = new Scratch()
        use group = new Group(scratch)
        body scratch group)

let private revisionIn (group: Group) path =
    use store = Store.openAt path group.Environment
    store.Applied.Revision

let private damage (path: string) = File.WriteAllBytes(Path.Combine(path, "FLUSHED"), [| 1uy; 2uy |])

let private adding =
    [ test "one that is added is held, and is not the table's" (fun _ group ->
          Expect.isFalse (group.Generations.Holds "a1") "not yet"
          group.Add("a1", 3)
          Expect.isTrue (group.Generations.Holds "a1") "held"
          Expect.equal group.Names [ "a1" ] "all"
          Expect.isNull group.Generations.Current "the table's is the first one")

      test "one of a name that is here already stays: it may be open, or promised" (fun _ group ->
          group.Add("a1", 3)
          let path = group.Generations.PathOf "a1"
          File.WriteAllText(Path.Combine(path, "mark"), "")
          group.Add("a1", 3)
          Expect.isTrue (File.Exists(Path.Combine(path, "mark"))) "the very one")

      test "a damaged one makes way for a whole one" (fun _ group ->
          group.Add("a1", 3)
          damage (group.Generations.PathOf "a1")
          group.Add("a1", 3)
          Expect.equal (revisionIn group (group.Generations.PathOf "a1")) 3L "whole") ]

let private current =
    [ test "one becomes the table's, and is it again after a crash in the middle" (fun _ group ->
          group.Add("a1", 3)
          File.WriteAllText(Path.Combine(group.Root, "current.tmp"), "a")
          Expect.isNull group.Generations.Current "a crash before the file had its name"
          group.Generations.MakeCurrent "a1"
          Expect.equal group.Generations.Current (group.Generations.PathOf "a1") "replaced"
          group.Generations.ThrowIfCurrentIsGone())

      test "a damaged name is refused, whatever the bytes" (fun _ group ->
          group.Add("a1", 3)

          for text in [ ""; "\n"; "../tables/7\n"; "a1.dropped\n"; "a1\000" ] do
              File.WriteAllText(Path.Combine(group.Root, "current"), text)
              let message = Failing.message<StorageCorruptionException, _>(fun () -> group.Generations.Current)
              Expect.stringContains message "current is damaged" text)

      test "one whose files are gone is refused: it is no new table" (fun _ group ->
          group.Add("a1", 3)
          group.Generations.MakeCurrent "a1"
          Directory.Delete(group.Generations.PathOf "a1", true)
          let message = Failing.message<StorageCorruptionException, _>(fun () -> group.Generations.ThrowIfCurrentIsGone())
          Expect.stringContains message "a1 is gone" "which") ]

let private sweeping =
    [ test "what the table has passed is deleted, also while none has taken its place" (fun _ group ->
          group.Make(group.First, 5)
          group.Add("older", 4)
          group.Add("equal", 5)
          group.Add("newer", 6)
          group.Generations.Sweep 5L
          Expect.equal group.Names [ "newer" ] "a newer one is promised"
          Expect.equal (revisionIn group group.First) 5L "the table's own stays")

      test "the former ones are deleted behind the exchange, the first one too" (fun _ group ->
          group.Make(group.First, 1)
          group.Add("former", 2)
          group.Add("present", 5)
          group.Add("newer", 6)
          group.Generations.MakeCurrent "present"
          group.Generations.Sweep 5L
          Expect.equal group.Names [ "newer"; "present" ] "left"
          Expect.isFalse (Directory.Exists group.First) "the first")

      test "a damaged one that is not the table's is deleted; the table's never is" (fun _ group ->
          group.Add("damaged", 9)
          group.Add("present", 5)
          group.Generations.MakeCurrent "present"

          for name in [ "damaged"; "present" ] do
              damage (group.Generations.PathOf name)

          group.Generations.Sweep 5L
          Expect.equal group.Names [ "present" ] "left")

      test "what a crash has left half deleted has no name, and goes with the next sweep" (fun _ group ->
          group.Add("a1", 3)
          Directory.Move(group.Generations.PathOf "a1", group.Generations.PathOf "a1" + ".dropped")
          Expect.isFalse (group.Generations.Holds "a1") "not held"
          Expect.isEmpty group.Names "nor listed"
          group.Generations.Sweep 0L
          Expect.isEmpty (Directory.GetFileSystemEntries group.Root) "gone") ]

let private dropping =
    [ test "everything of the table goes, whichever state is its own, damaged or not" (fun _ group ->
          for prepare in
              [ ignore
                (fun () -> group.Generations.MakeCurrent "a1")
                (fun () -> File.WriteAllText(Path.Combine(group.Root, "current"), "../x")) ] do
              group.Make(group.First, 1)
              group.Add("a1", 3)
              prepare ()
              group.Generations.Drop()
              Expect.isEmpty group.Entries "nothing is left"
              group.Generations.Drop())

      test "what a crash has left half dropped is gone at the next start" (fun scratch _ ->
          let half =
              using (NodeDirectory.Open(scratch.Path "node", NodeRole.Leader, 1L, Nullable())) (fun directory ->
                  let half = Path.Combine(directory.GenerationsPath, "7.dropped")
                  Directory.CreateDirectory(Path.Combine(half, "a1")) |> ignore
                  half)

          use _ = NodeDirectory.Open(scratch.Path "node", NodeRole.Leader, 1L, Nullable())
          Expect.isFalse (Directory.Exists half) "gone")

      test "folded back, the state is in the first directory, also when a crash has interrupted it" (fun _ group ->
          group.Make(group.First, 1)
          group.Add("a1", 3)
          group.Add("b2", 4)
          group.Generations.FoldBack()
          Expect.equal (revisionIn group group.First, group.Entries) (1L, [ "7" ]) "it was the first"

          group.Add("a1", 3)
          group.Generations.MakeCurrent "a1"
          group.Generations.FoldBack()
          Expect.equal (revisionIn group group.First, group.Entries) (3L, [ "7" ]) "it was a generation"

          group.Add("a1", 6)
          group.Generations.MakeCurrent "a1"
          Directory.Delete(group.First, true)
          Directory.Move(group.Generations.PathOf "a1", group.First)
          group.Generations.FoldBack()
          Expect.equal (revisionIn group group.First, group.Entries) (6L, [ "7" ]) "interrupted behind the move") ]

let private rebasing =
    [ test "a state gets its place in another log, once or twice, and keeps all else" (fun scratch group ->
          let path = scratch.Path "state"
          group.Make(path, 5)
          let before = TableStore.ReadFlushed path

          // Far behind where it was in its own log: that must not be taken for a state that has lost something.
          for _ in 1..2 do
              TableStore.Rebase(path, 2L, 1L, group.Environment)
              use store = Store.openAt path group.Environment
              Expect.equal store.Applied (AppliedState(2L, 1L, before.Revision, before.Incarnation, before.Chain)) "place and state"
              Expect.equal (store.Flushed, TableStore.ReadFlushed path) (store.Applied, store.Applied) "on disk"
              Expect.equal (Store.tryGet store "k5") (Some "at 5") "content"
              Expect.isTrue (store.ReadChain 5L).Found "history"

          use store = Store.openAt path group.Environment
          Store.put store "next" "x"
          Expect.equal (store.Applied.Index, store.Applied.Revision) (3L, 6L) "and goes on")

      test "interrupted before it is written down, it is done again" (fun scratch group ->
          let path = scratch.Path "state"
          group.Make(path, 5)
          let flushed = File.ReadAllBytes(Path.Combine(path, "FLUSHED"))
          TableStore.Rebase(path, 2L, 1L, group.Environment)
          File.WriteAllBytes(Path.Combine(path, "FLUSHED"), flushed)
          TableStore.Rebase(path, 2L, 1L, group.Environment)
          use store = Store.openAt path group.Environment
          Expect.equal (store.Applied.Index, store.Applied.Revision) (2L, 5L) "in place")

      test "files that others have links to stay what they were" (fun scratch group ->
          let path, shared = scratch.Path "state", scratch.Path "shared"
          group.Make(path, 5)
          DurableFile.LinkFiles(path, shared)
          let read () = [ for file in Directory.GetFiles shared |> Array.sort -> file, File.ReadAllBytes file ]
          let before = read ()
          TableStore.Rebase(path, 2L, 1L, group.Environment)

          using (Store.openAt path group.Environment) (fun store ->
              Store.put store "next" "x"
              store.Flush())

          Expect.equal (read ()) before "byte for byte") ]

let private closing =
    [ test "a store is closed when nobody reads from it any more" (fun scratch group ->
          let store = Store.openAt (scratch.Path "state") group.Environment
          let view = store.OpenView()
          store.Dispose()
          Expect.isFalse store.IsClosed "a view is open"
          view.Dispose()
          Expect.isTrue store.IsClosed "closed") ]

let tests = testList "generations of a table" (adding @ current @ sweeping @ dropping @ rebasing @ closing)
