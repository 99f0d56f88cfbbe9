/// Reading and trimming the changelog.
module Regatta.Storage.Tests.ChangelogTests

open System
open System.IO
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Time.Testing
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Formats
open Regatta.Storage.Rocks
open Regatta.Storage.Tests
open Regatta.Testing

let private options = StorageOptions(ChangelogMarkBytes = 1024L)
let private count revisions = ChangelogLimits(Nullable revisions, Nullable(), Nullable())
let private bytes limit = ChangelogLimits(Nullable(), Nullable limit, Nullable())
let private age (limit: TimeSpan) = ChangelogLimits(Nullable(), Nullable(), Nullable limit)

let private withStore body =
    use scratch = new Scratch()
    let clock = FakeTimeProvider()
    use environment = new StorageEnvironment(options, clock)
    body (scratch.Path "table") environment clock

let private test name body = testCase name (fun () -> withStore body)

/// Revisions of one put each.
let private grow revisions store =
    for number in 1..revisions do
        Store.put store "key" $"value {number}"

let private readAll withParts maxBytes (store: TableStore) =
    let reader = ChangelogReader(store, max 1L store.OldestRevision, withParts)

    let rec pages read =
        match reader.Read maxBytes with
        | :? ChangelogRead.Records as records -> pages ([ for item in records.Items -> item ] :: read)
        | :? ChangelogRead.CaughtUp -> List.rev read
        | other -> failtestf "%A" other

    pages []

let private revisions store = readAll false 1_000_000 store |> List.concat |> List.map _.Revision

/// Revisions with parts: revision r has r mod 4 of them, of 10 r bytes each.
let private growParts upTo (store: TableStore) =
    for revision in store.Revision + 1L .. upTo do
        use batch = store.NewBatch()

        for part in 0 .. int revision % 4 do
            batch.AppendChange(revision, part, ReadOnlySpan(Array.create (10 * int revision) (byte part)))

        let next = AppliedState(revision, 1L, revision, Store.incarnation, ChainHash())
        store.Write(batch, &next)

let private remove (store: TableStore) (positions: (int64 * int) list) =
    use batch = new TableBatch(store.Database, ignore)
    batch.Begin()

    for revision, part in positions do
        let key = Array.zeroCreate ChangelogRecord.KeyBytes
        ChangelogRecord.EncodeKey(Span key, revision, part)
        batch.DeleteRaw(Family.Changelog, ReadOnlySpan key)

    store.Database.Write batch.Handle

let tests =
    testList
        "changelog"
        [ test "pages of any size hold every record once, in order" (fun directory environment _ ->
              use store = Store.openAt directory environment
              growParts 40L store

              let expected =
                  [ for revision in 1L .. 40L do
                        for part in 0 .. int revision % 4 -> revision, part ]

              for maxBytes in [ 1; 50; 399; 400; 401; 5_000; 1_000_000 ] do
                  let pages = readAll true maxBytes store
                  Expect.equal (List.concat pages |> List.map (fun item -> item.Revision, item.Part)) expected $"pages of {maxBytes} bytes"

                  for page in pages do
                      let size = page |> List.sumBy _.Record.Length
                      Expect.isTrue (size <= maxBytes || page.Length = 1) $"a page of {size} bytes where {maxBytes} are allowed"

                  for item in List.concat pages do
                      Expect.equal (item.Record.ToArray()) (Array.create (10 * int item.Revision) (byte item.Part)) "record"

                  Expect.equal (readAll false maxBytes store |> List.concat |> List.map _.Revision) [ 1L .. 40L ] "without parts")

          test "a reader that has caught up goes on when there is more" (fun directory environment _ ->
              use store = Store.openAt directory environment
              let reader = ChangelogReader(store, 1L, true)
              Expect.isTrue (reader.Read 1000 :? ChangelogRead.CaughtUp) "nothing yet"
              growParts 3L store
              Expect.equal (reader.Read 1000 :?> ChangelogRead.Records).Items.Length 9 "parts of three revisions"
              Expect.isTrue (reader.Read 1000 :? ChangelogRead.CaughtUp) "all read"
              growParts 4L store
              let next = (reader.Read 1000 :?> ChangelogRead.Records).Items
              Expect.equal [ for item in next -> item.Revision, item.Part ] [ 4L, 0 ] "the next one"
              store.TrimChangelog(count 1L) |> ignore
              Expect.isTrue (reader.Read 1000 :? ChangelogRead.CaughtUp) "what was trimmed behind it does not matter")

          test "how much is left is exact at both ends, and in between as if revisions were of one size" (fun directory environment _ ->
              use store = Store.openAt directory environment
              let left from = ChangelogReader(store, from, false).BytesLeft
              Expect.equal (left 1L) 0L "an empty table"

              for _ in 1..100 do
                  Store.put store "key" "value"

              let total = store.ChangelogBytesWritten
              Expect.equal [ left 1L; left 101L; left 200L ] [ total; 0L; 0L ] "all, and nothing"
              let about from bytes = Expect.isLessThan (abs (left from - bytes)) (total / 100L) $"from revision {from} on"
              about 26L (total * 3L / 4L)
              store.TrimChangelog(count 10L) |> ignore
              about 91L (total / 10L)
              Expect.equal (left 1L) total "also what is not there any more")

          test "a missing record is corruption, not a shorter answer" (fun directory environment _ ->
              use store = Store.openAt directory environment
              growParts 20L store
              remove store [ 7L, 2; 12L, 0; 12L, 1; 16L, 0 ]

              let missing from withParts =
                  let reader = ChangelogReader(store, from, withParts)

                  let rec read last =
                      match reader.Read 300 with
                      | :? ChangelogRead.Records as records -> read records.Items[records.Items.Length - 1].Revision
                      | other -> failtestf "%A after %d" other last

                  Expect.throwsC (fun () -> read 0L |> ignore) (fun e -> (e :?> StorageCorruptionException).Message)

              Expect.stringContains (missing 1L true) "misses revision 7 part 2" "a part"
              Expect.stringContains (missing 1L false) "misses revision 7 part 2" "a part that was not asked for"
              Expect.stringContains (missing 8L true) "misses revision 11 part 4" "a whole revision, told by the end of the one before"
              Expect.stringContains (missing 12L true) "misses revision 12 part 0" "the first one asked for"
              Expect.stringContains (missing 13L true) "misses revision 15 part 4" "a revision without parts")

          test "trimming by count is exact, and again and again" (fun directory environment _ ->
              use store = Store.openAt directory environment
              Expect.equal (store.TrimChangelog(count 10L)) 0L "empty"
              grow 25 store
              Expect.equal (store.TrimChangelog(count 30L)) 1L "fewer than allowed"
              Expect.equal (store.TrimChangelog(count 10L)) 16L "oldest"
              Expect.equal (revisions store) [ 16L .. 25L ] "what is left"
              grow 2 store
              Expect.equal (store.TrimChangelog(count 10L)) 18L "oldest"
              Expect.equal (store.TrimChangelog(count 20L)) 18L "nothing comes back"
              Expect.equal (ChangelogReader(store, 17L, true).Read 100) (ChangelogRead.Compacted 18L) "too old"
              Expect.equal (store.TrimChangelog(count 1L), revisions store) (27L, [ 27L ]) "the last one")

          test "the chain hash is there as long as the record is, and that of the newest always" (fun directory environment clock ->
              use store = Store.openAt directory environment
              let machine = TableMachine store

              let apply revision =
                  let writer = EntryWriter()
                  writer.Append(PutCommand(ReadOnlyMemory(Bytes.ofText "key"), ReadOnlyMemory(Bytes.ofText $"%d{revision}"), false))
                  machine.Apply(ReadOnlySpan [| CommittedEntry(revision, 1L, writer.ToPayload(), null) |])
                  store.Applied.Chain

              Expect.equal (store.ReadChain 0L) (ChainRead(true, ChainHash(), 0L)) "of a new table"
              let chains = [ for revision in 1L .. 20L -> revision, apply revision ]

              for revision, chain in chains do
                  Expect.equal (store.ReadChain revision) (ChainRead(true, chain, 1L)) $"revision {revision}"

              store.TrimChangelog(count 5L) |> ignore

              for revision, chain in chains do
                  let expected = if revision < 16L then ChainRead(false, ChainHash(), 16L) else ChainRead(true, chain, 16L)
                  Expect.equal (store.ReadChain revision) expected $"revision {revision}, trimmed"

              let keep = age (TimeSpan.FromHours 1.0)
              store.TrimChangelog keep |> ignore
              clock.Advance(TimeSpan.FromHours 2.0)
              Expect.equal (store.TrimChangelog keep) 0L "all is trimmed"
              Expect.equal (store.ReadChain 20L) (ChainRead(true, snd chains[19], 20L)) "the newest, from the state"
              Expect.equal (store.ReadChain 19L) (ChainRead(false, ChainHash(), 20L)) "no record is left"
              Expect.throwsT<ArgumentOutOfRangeException> (fun () -> store.ReadChain 21L |> ignore) "a revision to come")

          test "trimming by bytes keeps what fits, to within a mark" (fun directory environment _ ->
              use store = Store.openAt directory environment
              growParts 60L store
              let sizeOf = List.concat >> List.sumBy (fun (item: StoredChange) -> int64 item.Record.Length + 17L)
              let all = readAll true 1_000_000 store |> sizeOf
              Expect.equal (store.TrimChangelog(bytes all)) 1L "all fits"

              for limit in [ all - 1L; all / 2L; all / 4L; 4_000L ] do
                  let oldest = store.TrimChangelog(bytes limit)
                  let left = readAll true 1_000_000 store |> sizeOf
                  Expect.equal oldest (revisions store |> List.head) "oldest"
                  Expect.isTrue (left <= limit) $"{left} bytes are left of {limit}"
                  // One mark of 1 KiB, and the revision that crossed it.
                  Expect.isGreaterThan left (limit - 1024L - 4L * 617L) $"{left} bytes are left of {limit}"

              Expect.equal (store.TrimChangelog(bytes 0L)) (store.TrimChangelog(bytes 0L)) "no more than the last mark can go")

          test "trimming by age forgets what is older, by this node's clock" (fun directory environment clock ->
              use store = Store.openAt directory environment
              let keep = age (TimeSpan.FromHours 1.0)
              grow 10 store
              Expect.equal (store.TrimChangelog keep) 1L "just written"
              clock.Advance(TimeSpan.FromMinutes 40.0)
              grow 10 store
              Expect.equal (store.TrimChangelog keep) 1L "forty minutes"
              clock.Advance(TimeSpan.FromMinutes 25.0)
              Expect.equal (store.TrimChangelog keep) 11L "the first ten are over an hour old"
              clock.Advance(TimeSpan.FromMinutes 40.0)
              Expect.equal (store.TrimChangelog keep, store.Revision) (0L, 20L) "an idle table's changelog ages too"
              grow 1 store
              Expect.equal (revisions store) [ 21L ] "and goes on")

          test "trimming survives a reopening, with what is needed to go on" (fun directory environment clock ->
              using (Store.openAt directory environment) (fun store ->
                  grow 50 store
                  clock.Advance(TimeSpan.FromMinutes 2.0)
                  store.TrimChangelog(age (TimeSpan.FromHours 1.0)) |> ignore
                  store.TrimChangelog(count 30L) |> ignore
                  grow 5 store
                  store.Flush())

              clock.Advance(TimeSpan.FromHours 2.0)
              use store = Store.openAt directory environment
              Expect.equal (store.OldestRevision, revisions store) (21L, [ 21L .. 55L ]) "floor"
              Expect.equal (store.TrimChangelog(age (TimeSpan.FromHours 1.0))) 51L "times")

          test "bytes are counted on over a reopening and a crash" (fun directory environment _ ->
              let total = ref 0L

              using (Store.openAt directory environment) (fun store ->
                  growParts 30L store
                  store.Flush()
                  total.Value <- store.ChangelogBytesWritten
                  growParts 40L store)

              use store = Store.openAt directory environment
              Expect.equal store.Revision 30L "the rest is lost"
              Expect.equal store.ChangelogBytesWritten total.Value "bytes"
              Expect.isGreaterThan total.Value 1024L "more than a mark")

          test "a crash undoes a trimming as a whole" (fun directory environment _ ->
              using (Store.openAt directory environment) (fun store ->
                  grow 20 store
                  store.Flush()
                  store.TrimChangelog(count 5L) |> ignore
                  Expect.equal (revisions store) [ 16L .. 20L ] "trimmed")

              use store = Store.openAt directory environment
              Expect.equal (store.OldestRevision, revisions store) (1L, [ 1L .. 20L ]) "back")

          test "files that hold only what was trimmed go with the next flush" (fun directory environment _ ->
              use store = Store.openAt directory environment
              let files () = Directory.GetFiles(directory, "*.sst") |> Array.sumBy (fun file -> FileInfo(file).Length)

              for _ in 1..5 do
                  growParts (store.Revision + 100L) store
                  store.Flush()
                  Store.compact store

              let before = files ()
              store.TrimChangelog(count 3L) |> ignore
              store.Flush()
              // The last file, about a third of all, also holds what is left.
              Expect.isLessThan (files ()) (before / 2L) "bytes in files"
              Expect.equal (revisions store) [ 498L .. 500L ] "what is left")

          test "an empty changelog stays where it is" (fun directory environment clock ->
              using (Store.openAt directory environment) (fun store ->
                  grow 10 store
                  // The first call marks what has no time yet, the second may cut there.
                  clock.Advance(TimeSpan.FromMinutes 2.0)
                  store.TrimChangelog(age TimeSpan.Zero) |> ignore
                  store.TrimChangelog(age TimeSpan.Zero) |> ignore
                  Expect.equal store.OldestRevision 0L "empty"

                  Expect.equal
                      (ChangelogReader(store, 10L, true).Read 100)
                      (ChangelogRead.Compacted 11L)
                      "the next one will be the oldest"

                  store.Flush())

              use store = Store.openAt directory environment
              Expect.equal store.OldestRevision 0L "still empty"
              grow 1 store
              Expect.equal (store.OldestRevision, revisions store) (11L, [ 11L ]) "goes on")

          test "readers beside a trimmer see no gap" (fun directory environment _ ->
              use store = Store.openAt directory environment
              let last = int64 (Scale.pick 6_000 200_000)

              let reading =
                  Task.Run(fun () ->
                      let mutable next = 1L
                      let mutable compacted = 0
                      let mutable reader = ChangelogReader(store, 1L, true)

                      while next <= last do
                          match reader.Read 2_000 with
                          | :? ChangelogRead.Records as records ->
                              for item in records.Items do
                                  Expect.equal item.Revision next "the next revision"
                                  next <- next + 1L
                          | :? ChangelogRead.Compacted as gone ->
                              Expect.isGreaterThan gone.Oldest next "it is gone"
                              compacted <- compacted + 1
                              next <- gone.Oldest
                              reader <- ChangelogReader(store, next, true)
                          | _ -> ()

                      compacted)

              while store.Revision < last && not reading.IsFaulted do
                  Store.apply store [ for _ in 1L .. min 20L (last - store.Revision) -> [ Store.Put("key", "value"B) ] ]
                  if store.Revision % 200L = 0L then store.TrimChangelog(count 50L) |> ignore
                  if store.Revision % 2_000L = 0L then store.Flush()

              reading.GetAwaiter().GetResult() |> ignore) ]
