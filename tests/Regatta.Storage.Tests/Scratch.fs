namespace Regatta.Storage.Tests

open System
open System.IO
open System.Text
open Expecto
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Rocks
open RocksDbSharp

/// A directory of this test's own, gone with it.
type Scratch() =
    let root = Directory.CreateTempSubdirectory("regatta-storage-").FullName
    member _.Root = root
    member _.Path(name: string) = Path.Combine(root, name)

    interface IDisposable with
        member _.Dispose() = Directory.Delete(root, true)

module Bytes =
    let ofText (text: string) = Encoding.UTF8.GetBytes text
    let toText (bytes: ReadOnlyMemory<byte>) = Encoding.UTF8.GetString bytes.Span

module Failing =
    /// The message of the exception, which must be of exactly this type.
    let message<'e, 'r when 'e :> exn> (body: unit -> 'r) =
        Expect.throwsC (body >> ignore) (fun e ->
            Expect.equal (e.GetType()) typeof<'e> (string e)
            e.Message)

/// What the disk holds of an open store at one moment: what a kill would leave.
module StillOpen =
    let private listing directory = [ for file in Directory.GetFiles directory |> Array.sort -> file, FileInfo(file).Length ]

    let private copied source target =
        try
            let before = listing source

            for file, _ in before do
                File.Copy(file, Path.Combine(target, string (Path.GetFileName file)))

            listing source = before
        with :? FileNotFoundException ->
            false

    /// RocksDB may add and remove files meanwhile: what was copied then is of no moment, and does not count.
    let rec copy source target =
        Directory.CreateDirectory target |> ignore

        if not (copied source target) then
            Directory.Delete(target, true)
            copy source target

/// Steps on a store without Core: what a test of storage alone needs.
module Store =
    let incarnation = Incarnation(Guid "6f0e9d5c-3a41-4c5e-9a1b-2f7d8c3b4a59", 7L)

    let environment (options: StorageOptions) = new StorageEnvironment(options, TimeProvider.System)

    let openAt directory environment = TableStore.Open(directory, incarnation, environment)

    type Change =
        | Put of key: string * value: byte array
        | Delete of key: string

    /// One step of several revisions: changes, and a changelog record for each revision.
    let apply (store: TableStore) (revisions: Change list list) =
        use batch = store.NewBatch()
        let applied = store.Applied
        let mutable revision = applied.Revision

        for changes in revisions do
            revision <- revision + 1L

            for change in changes do
                match change with
                | Put(key, value) ->
                    let key = ReadOnlySpan(Bytes.ofText key)
                    let mutable header = RecordHeader()
                    let found = store.Latest.TryGetHeader(key, &header)

                    let next =
                        if found then
                            RecordHeader(header.CreateRevision, revision, header.Version + 1L)
                        else
                            RecordHeader(revision, revision, 1L)

                    batch.Put(key, &next, ReadOnlySpan value)
                | Delete key -> batch.Delete(ReadOnlySpan(Bytes.ofText key))

            batch.AppendChange(revision, 0, ReadOnlySpan(Bytes.ofText $"record of %d{revision}"))

        let next =
            AppliedState(applied.Index + 1L, 1L, revision, applied.Incarnation, ChainHash(UInt128.op_Implicit (uint64 revision)))

        store.Write(batch, &next)

    /// Moves all files of all families to the last level, and waits for it.
    let compact (store: TableStore) =
        for family in [ Family.Data; Family.Changelog; Family.Meta ] do
            Native.Instance.rocksdb_compact_range_cf (store.Database.DangerousGetHandle(), store.Database.Handle family, 0n, 0un, 0n, 0un)

    let put store key (value: string) = apply store [ [ Put(key, Bytes.ofText value) ] ]

    let tryGet (store: TableStore) (key: string) =
        let read = store.Get(ReadOnlySpan(Bytes.ofText key), true)
        if read.Found then Some(Bytes.toText read.Value) else None

    let content (view: ITableView) =
        use cursor = view.Scan(KeyRange.From(ReadOnlyMemory.Empty))

        [ while cursor.MoveNext() do
              Encoding.UTF8.GetString cursor.Key, cursor.Header, Encoding.UTF8.GetString cursor.Value ]
