/// Readers beside a writer: every answer is checked against the state that the table had at the answer's revision.
module Regatta.Storage.Tests.ConcurrencyTests

open System
open System.Buffers.Binary
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Tests
open Regatta.Testing

/// A history whose every state can be computed: revision r writes key r mod 61, and in each third round deletes it instead.
module private History =
    let keys = 61L
    let key (number: int64) = Bytes.ofText $"key/%03d{number}"
    let allKeys = [| for number in 0L .. keys - 1L -> key number |]
    let private deletes round = round % 3L = 0L

    /// What key `number` is at a revision: nothing, or its header. The value holds the mod revision.
    let at revision number =
        let last = revision - (revision - number + keys) % keys
        let round = last / keys

        if last < 1L || deletes round then
            ValueNone
        else
            let created = last - ((round - 1L) % 3L) * keys
            ValueSome(RecordHeader(created, last, round % 3L))

    let write (batch: ITableBatch) revision =
        let number = revision % keys
        let key = ReadOnlySpan allKeys[int number]

        match at revision number with
        | ValueNone -> batch.Delete key
        | ValueSome header ->
            let value = Array.zeroCreate<byte> 40
            BinaryPrimitives.WriteInt64LittleEndian(Span value, revision)
            batch.Put(key, &header, ReadOnlySpan value)

        batch.AppendChange(revision, 0, ReadOnlySpan [| byte revision |])

/// Plain values and no closures: the checks must not be what limits the readers.
type private Reader(store: TableStore, seed: int) =
    let random = Random seed
    let mutable last = 0L

    let check what (revision: int64) number found (header: RecordHeader) (value: ReadOnlySpan<byte>) =
        match History.at revision number with
        | ValueNone -> if found then failtestf "%s: key %d exists at revision %d (%O), but must not" what number revision header
        | ValueSome expected ->
            if not found then failtestf "%s: key %d is missing at revision %d, expected %O" what number revision expected

            if header <> expected then failtestf "%s: key %d is %O at revision %d, expected %O" what number header revision expected

            if value.Length <> 40 || BinaryPrimitives.ReadInt64LittleEndian value <> expected.ModRevision then
                failtestf "%s: the value of key %d at revision %d is not that of its last put" what number revision

    member _.Point() =
        let number = random.NextInt64 History.keys
        let before = store.Revision
        let read = store.Get(ReadOnlySpan History.allKeys[int number], true)

        if before < last || read.Revision < before then
            failtestf "revision went back: %d, %d, then %d" last before read.Revision

        last <- before
        check "point read" read.Revision number read.Found read.Header read.Value.Span

    member _.View() =
        let before = store.Revision
        use view = store.OpenView()
        if view.Revision < before then failtestf "a view of revision %d, though %d was seen before" view.Revision before
        use cursor = view.Scan(KeyRange.From ReadOnlyMemory.Empty)
        let mutable on = cursor.MoveNext()

        for number in 0L .. History.keys - 1L do
            let found = on && cursor.Key.SequenceEqual(ReadOnlySpan History.allKeys[int number])

            if found then
                check "scan" view.Revision number true cursor.Header cursor.Value
                on <- cursor.MoveNext()
            else
                check "scan" view.Revision number false (RecordHeader()) ReadOnlySpan.Empty

        if on then failtest "the scan has a key that was never written"

/// On a thread of its own: on the pool, readers that never wait could keep the writer from getting one.
let private onThread (work: unit -> unit) =
    Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)

let private write (store: TableStore) (random: Random) revisions =
    let mutable revision = store.Revision

    while revision < revisions do
        use batch = store.NewBatch()
        let size = int64 (random.Next(1, 40))

        for _ in 1L .. size do
            revision <- revision + 1L
            History.write batch revision

        let applied = store.Applied
        let next = AppliedState(applied.Index + 1L, 1L, revision, applied.Incarnation, ChainHash())
        store.Write(batch, &next)

let tests =
    testList
        "readers beside a writer"
        [ testCase "every answer is the state at the revision it names" (fun () ->
              use scratch = new Scratch()
              // Small buffers: flushes and compactions take part.
              use environment = Store.environment (StorageOptions(WriteBufferBytes = (1L <<< 20), TableWriteBufferBytes = (1L <<< 18)))
              use store = Store.openAt (scratch.Path "table") environment
              let reads = Scale.pick 1_500_000 60_000_000
              use written = new CancellationTokenSource()
              let counted = [| 0L; 0L |]

              let readers =
                  [| for at in 0..1 ->
                         onThread (fun () ->
                             let reader = Reader(store, Seed.current + at)

                             while not written.IsCancellationRequested do
                                 reader.View()
                                 counted[at] <- counted[at] + 1L

                                 for _ in 1..500 do
                                     reader.Point()

                                 counted[at] <- counted[at] + 500L) |]

              let writing =
                  onThread (fun () ->
                      let random = Random(Seed.current + 7)

                      try
                          // Until the readers have read enough, or one of them has failed.
                          while Volatile.Read &counted[0] + Volatile.Read &counted[1] < int64 reads
                                && not (readers |> Array.exists _.IsFaulted) do
                              write store random (store.Revision + 10_000L)
                              if random.Next 10 = 0 then store.Flush()
                      finally
                          written.Cancel())

              Task.WhenAll(Array.append readers [| writing |]).GetAwaiter().GetResult()
              Expect.isGreaterThan store.Revision 10_000L "revisions written meanwhile"
              printfn "%d reads beside %d revisions" (Array.sum counted) store.Revision) ]
