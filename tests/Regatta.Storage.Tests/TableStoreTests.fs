module Regatta.Storage.Tests.TableStoreTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Tests
open Regatta.Testing

let private withStore body =
    use scratch = new Scratch()
    use environment = Store.environment StorageOptions.Default
    let directory = scratch.Path "table"
    body directory environment

let private test name body = testCase name (fun () -> withStore body)

let tests =
    testList
        "table store"
        [ test "what was written is read back, with its revisions" (fun directory environment ->
              use store = Store.openAt directory environment
              Store.put store "a" "1"
              Store.apply store [ [ Store.Put("b", "2"B); Store.Put("a", "3"B) ] ]
              let read = store.Get("a"B.AsSpan(), true)
              Expect.equal (read.Revision, read.Found, read.Header) (2L, true, RecordHeader(1L, 2L, 2L)) "header"
              Expect.equal (Bytes.toText read.Value) "3" "value"
              let absent = store.Get("c"B.AsSpan(), true)
              Expect.equal (absent.Revision, absent.Found) (2L, false) "absent"
              let headerOnly = store.Get("b"B.AsSpan(), false)
              Expect.equal (headerOnly.Found, headerOnly.Value.Length) (true, 0) "no value asked for")

          test "closing without a flush loses what was not flushed, and nothing else" (fun directory environment ->
              using (Store.openAt directory environment) (fun store ->
                  Store.put store "flushed" "1"
                  store.Flush()
                  Store.put store "lost" "2")

              use store = Store.openAt directory environment
              Expect.equal (Store.tryGet store "flushed", Store.tryGet store "lost") (Some "1", None) "content"
              Expect.equal (store.Applied.Index, store.Revision) (1L, 1L) "applied"
              Expect.equal store.Flushed store.Applied "flushed"
              Expect.equal store.OldestRevision 1L "changelog")

          test "flushed says what is on disk, not what is written" (fun directory environment ->
              use store = Store.openAt directory environment
              Expect.equal store.Flushed.Index 0L "new"
              Store.put store "a" "1"
              Expect.equal store.Flushed.Index 0L "written"
              store.Flush()
              Expect.equal store.Flushed store.Applied "flushed"
              Store.put store "a" "2"
              Expect.equal store.Flushed.Index 1L "written again")

          testCase "data, changelog and applied state reach the disk together, whenever RocksDB flushes" (fun () ->
              use scratch = new Scratch()
              use environment = Store.environment (StorageOptions(TableWriteBufferBytes = (64L <<< 10)))
              use store = Store.openAt (scratch.Path "table") environment
              let key revision = $"key/%06d{revision}"
              let mutable onDisk = Set.empty

              for kill in 1 .. Scale.pick 25 400 do
                  for _ in 1..40 do
                      let first = store.Revision
                      Store.apply store [ for added in 1L .. 5L -> [ Store.Put(key (first + added), Array.zeroCreate 100) ] ]

                  let copy = scratch.Path $"killed-{kill}"
                  StillOpen.copy store.Directory copy
                  use left = Store.openAt copy environment
                  let found = Store.content left.Latest |> List.map (fun (key, _, _) -> key)
                  Expect.equal found [ for revision in 1L .. left.Revision -> key revision ] $"keys at revision {left.Revision}"
                  Expect.equal left.Applied.Index (left.Revision / 5L) "whole steps"
                  onDisk <- onDisk.Add left.Revision

              Expect.isGreaterThan onDisk.Count 5 "RocksDB has flushed by itself again and again")

          test "a view shows one moment" (fun directory environment ->
              use store = Store.openAt directory environment
              Store.put store "a" "1"
              use view = store.OpenView()
              Store.apply store [ [ Store.Put("a", "2"B); Store.Put("b", "2"B) ] ]
              Expect.equal (view.Revision, Store.content view |> List.map (fun (k, _, v) -> k, v)) (1L, [ "a", "1" ]) "view"
              Expect.equal (Store.content store.Latest |> List.map (fun (k, _, v) -> k, v)) [ "a", "2"; "b", "2" ] "latest")

          test "a view outlives its store and the store's directory" (fun directory environment ->
              let store = Store.openAt directory environment
              Store.put store "a" "1"
              store.Flush()
              let view = store.OpenView()
              let cursor = view.Scan(KeyRange.From(ReadOnlyMemory.Empty))
              store.Dispose()
              TableStore.Drop directory
              Expect.isFalse (Directory.Exists directory) "gone"
              Expect.isTrue (cursor.MoveNext()) "the cursor goes on"
              Expect.equal (Store.content view |> List.map (fun (k, _, v) -> k, v)) [ "a", "1" ] "the view goes on"
              view.Dispose()
              Expect.isFalse (cursor.MoveNext()) "a cursor keeps even a disposed view's snapshot"
              cursor.Dispose()
              Expect.throwsT<ObjectDisposedException> (fun () -> store.OpenView() |> ignore) "no new view"
              Expect.throwsT<ObjectDisposedException> (fun () -> store.Get("a"B.AsSpan(), true) |> ignore) "no read"
              Expect.throwsT<ObjectDisposedException> (fun () -> store.NewBatch() |> ignore) "no batch")

          test "a checkpoint opens as a table of its own" (fun directory environment ->
              use store = Store.openAt directory environment
              Store.put store "a" "1"
              store.Checkpoint(directory + "-copy")
              Store.put store "a" "2"
              use copy = Store.openAt (directory + "-copy") environment
              Expect.equal (Store.tryGet copy "a", copy.Revision) (Some "1", 1L) "copy"
              Store.put copy "a" "3"
              Expect.equal (Store.tryGet store "a", Store.tryGet copy "a") (Some "2", Some "3") "both live on")

          test "a checkpoint made beside a writer holds what it says that it holds" (fun directory environment ->
              use store = Store.openAt directory environment
              use ending = new CancellationTokenSource()

              let writing =
                  Task.Run(fun () ->
                      while not ending.IsCancellationRequested do
                          Store.put store "a" (string store.Revision))

              for number in 1..10 do
                  let copy = $"{directory}-copy-{number}"
                  store.Checkpoint copy
                  use opened = Store.openAt copy environment
                  Expect.equal opened.Applied (TableStore.ReadFlushed copy) "the state in the files, and the one that is written down"

              ending.Cancel()
              writing.GetAwaiter().GetResult())

          test "another incarnation is refused" (fun directory environment ->
              (Store.openAt directory environment).Dispose()

              Expect.throwsT<StorageRefusedException>
                  (fun () -> TableStore.Open(directory, Incarnation(Guid.NewGuid(), 7L), environment) |> ignore)
                  "refused") ]
