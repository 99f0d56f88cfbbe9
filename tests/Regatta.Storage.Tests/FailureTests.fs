/// Errors of the disk under an open table, tables that are not whole, and many tables at once.
module Regatta.Storage.Tests.FailureTests

open System
open System.Diagnostics
open System.IO
open Expecto
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Tests

let private withStore body =
    use scratch = new Scratch()
    use environment = Store.environment StorageOptions.Default
    body (scratch.Path "table") environment

let private test name body = testCase name (fun () -> withStore body)

/// Takes the directory away from under an open store: its next new file cannot be made.
let private failingStore directory environment =
    let store = Store.openAt directory environment
    Store.put store "flushed" "1"
    store.Flush()
    Store.put store "written" "2"
    Directory.Move(directory, directory + "-gone")
    store

let private step (revision: int64) = AppliedState(revision, 1L, revision, Store.incarnation, ChainHash())

let tests =
    testList
        "failures"
        [ test "a flush that fails is told, and nothing is written afterwards" (fun directory environment ->
              use store = failingStore directory environment
              Expect.isNull store.BackgroundError "well so far"
              let first = Failing.message<StorageException, _> store.Flush
              Expect.stringContains first directory "the directory is named"
              Expect.equal store.BackgroundError first "kept"

              Expect.stringContains
                  (Failing.message<StorageException, _>(fun () -> Store.put store "a" "3"))
                  "takes no more writes"
                  "write"

              Expect.stringContains (Failing.message<StorageException, _> store.Flush) "takes no more writes" "flush"

              Expect.stringContains
                  (Failing.message<StorageException, _>(fun () -> store.TrimChangelog(ChangelogLimits.Unlimited)))
                  "takes no more"
                  "trim"

              Expect.equal (Store.tryGet store "written", store.Revision) (Some "2", 2L) "reads go on")

          test "RocksDB's own errors in the background are seen without writing" (fun directory environment ->
              use store = failingStore directory environment
              // Not through the store, which would notice: as a flush that RocksDB begins by itself.
              Failing.message<StorageException, _> store.Database.Flush |> ignore
              let error = store.BackgroundError |> Option.ofObj |> Option.defaultValue "no error"
              Expect.stringContains error directory "the directory is named"

              Expect.stringContains
                  (Failing.message<StorageException, _>(fun () -> Store.put store "a" "3"))
                  "takes no more writes"
                  "write")

          test "what is flushed is only told when it is written down" (fun directory environment ->
              use store = Store.openAt directory environment
              Store.put store "a" "1"
              store.Database.Flush()
              File.Delete(Path.Combine(directory, "FLUSHED"))
              Directory.CreateDirectory(Path.Combine(directory, "FLUSHED")) |> ignore
              Expect.stringContains (Failing.message<StorageException, _>(fun () -> store.Flushed)) "could not be written down" "an error")

          test "a directory that is not a whole table is refused" (fun directory environment ->
              Directory.CreateDirectory directory |> ignore
              let refused () = Failing.message<StorageCorruptionException, _>(fun () -> Store.openAt directory environment)
              Expect.stringContains (refused ()) "FLUSHED is missing" "empty"
              File.WriteAllText(Path.Combine(directory, "FLUSHED"), "nonsense")
              Expect.stringContains (refused ()) "FLUSHED is damaged" "nonsense")

          test "a table is opened once" (fun directory environment ->
              use store = Store.openAt directory environment

              Expect.stringContains
                  (Failing.message<StorageRefusedException, _>(fun () -> Store.openAt directory environment))
                  "open already"
                  "refused"

              Store.put store "a" "1"
              let view = store.OpenView()
              store.Dispose()

              Expect.stringContains
                  (Failing.message<StorageRefusedException, _>(fun () -> Store.openAt directory environment))
                  "view"
                  "an open view"

              view.Dispose()
              (Store.openAt directory environment).Dispose())

          test "a creation that a crash cut short begins again" (fun directory environment ->
              let staging = Directory.CreateDirectory(directory + ".creating")
              File.WriteAllText(Path.Combine(staging.FullName, "CURRENT"), "MANIFEST-000001\n")
              use store = Store.openAt directory environment
              Expect.equal store.Revision 0L "empty"
              Expect.isFalse (Directory.Exists staging.FullName) "gone")

          test "a drop removes all, also what an earlier one left" (fun directory environment ->
              (Store.openAt directory environment).Dispose()
              Directory.CreateDirectory(directory + ".dropped") |> ignore
              TableStore.Drop directory
              TableStore.Drop directory
              Expect.isEmpty (Directory.GetFileSystemEntries(Path.GetDirectoryName directory |> string)) "nothing is left")

          test "a step that goes back or changes without a revision is a bug, and refused" (fun directory environment ->
              use store = Store.openAt directory environment
              Store.put store "a" "1"
              use batch = store.NewBatch()
              let write (next: AppliedState) = Failing.message<ArgumentException, _>(fun () -> store.Write(batch, &next))
              Expect.stringContains (write (step 0L)) "cannot lead" "back"
              Expect.stringContains (write (AppliedState(2L, 1L, 2L, Incarnation(), ChainHash()))) "cannot lead" "another incarnation"
              batch.Delete(ReadOnlySpan "a"B)
              Expect.stringContains (write (AppliedState(2L, 1L, 1L, Store.incarnation, ChainHash()))) "need a revision" "no revision"
              batch.AppendChange(3L, 0, ReadOnlySpan.Empty)
              Expect.stringContains (write (step 2L)) "do not belong" "a record of the future"
              use other = Store.openAt (directory + "-other") environment
              let next = step 1L

              Expect.stringContains
                  (Failing.message<ArgumentException, _>(fun () -> other.Write(batch, &next)))
                  "not of this store"
                  "another store's batch"

              Expect.equal (Store.tryGet store "a", store.Revision, store.BackgroundError) (Some "1", 1L, null) "nothing happened"
              let next = step 3L
              store.Write(batch, &next)
              Expect.equal (Store.tryGet store "a") None "and the store goes on")

          test "the smallest and the largest keys and values come back" (fun directory environment ->
              use store = Store.openAt directory environment
              let keys = [ [||]; [| 0uy |]; Array.create 1024 255uy; Array.create 65_536 97uy ]
              let values = [ [||]; [| 0uy |]; Array.init (2 <<< 20) byte; Array.create 17 255uy ]
              let header = RecordHeader(1L, 1L, 1L)

              using (store.NewBatch()) (fun batch ->
                  for key, value in List.zip keys values do
                      batch.Put(ReadOnlySpan key, &header, ReadOnlySpan value)

                  let next = step 1L
                  store.Write(batch, &next))

              let check () =
                  for key, value in List.zip keys values do
                      let read = store.Get(ReadOnlySpan key, true)

                      Expect.isTrue
                          (read.Found && read.Value.Span.SequenceEqual(ReadOnlySpan value))
                          $"value of a key of {key.Length} bytes"

                  use cursor = store.Latest.Scan(KeyRange.From ReadOnlyMemory.Empty)

                  let found =
                      [ while cursor.MoveNext() do
                            cursor.Key.ToArray(), cursor.Value.Length ]

                  let expected =
                      List.zip keys values
                      |> List.map (fun (key, value) -> key, value.Length)
                      |> List.sortBy (fun (key, _) -> key.Length > 1024, key)

                  Expect.equal (List.map snd found |> List.sort) (List.map snd expected |> List.sort) "scan"

              check ()
              store.Flush()
              check ())

          test "a hundred tables share what is costly" (fun directory environment ->
              let handles () = Directory.GetFiles("/proc/self/fd").Length
              let resident () = use me = Process.GetCurrentProcess() in me.WorkingSet64
              let handlesBefore, residentBefore, watch = handles (), resident (), Stopwatch.StartNew()
              let stores = [ for number in 1..100 -> Store.openAt $"{directory}-{number}" environment ]
              let made = watch.Elapsed

              for store in stores do
                  Store.put store "key" "value"

              let perTable = float (handles () - handlesBefore) / 100.0

              printfn
                  "100 tables made in %.1f s: %.1f handles, %d KiB each"
                  made.TotalSeconds
                  perTable
                  ((resident () - residentBefore) / 102_400L)

              stores |> List.iter _.Dispose()
              watch.Restart()
              let again = [ for number in 1..100 -> Store.openAt $"{directory}-{number}" environment ]
              printfn "opened again in %.1f s" watch.Elapsed.TotalSeconds
              Expect.isTrue (again |> List.forall (fun store -> store.Revision = 0L)) "what was not flushed is gone"
              again |> List.iter _.Dispose()
              Expect.isLessThan perTable 8.0 "handles per table"
              Expect.isLessThan (handles () - handlesBefore) 20 "handles are given back") ]
