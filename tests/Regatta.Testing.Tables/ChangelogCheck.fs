/// What a table's changelog must say after a run.
module Regatta.Testing.Tables.ChangelogCheck

open System
open System.Collections.Generic
open Expecto
open Regatta
open Regatta.Spec

type private Logged = { Revision: int64; Record: byte array; Parts: byte array list }

let private byRevision changes =
    changes
    |> Seq.groupBy (fun (struct (revision, _, _)) -> revision)
    |> Seq.map (fun (revision, rows) ->
        let parts = rows |> Seq.map (fun (struct (_, part, record)) -> part, record) |> List.ofSeq
        Expect.equal (List.map fst parts) [ 0 .. parts.Length - 1 ] $"parts of revision {revision}"
        let records = List.map snd parts
        { Revision = revision; Record = List.head records; Parts = List.tail records })
    |> List.ofSeq

/// What a record says that it did. It must name the revisions that it replaces; `written` has them, and goes on to this one's.
let private effects (written: Dictionary<Bytes, int64>) logged =
    let record = Core.ChangeCodec.Read(ReadOnlyMemory logged.Record)
    let removed = logged.Parts |> List.map (fun part -> Core.ChangeCodec.ReadRemovedKeys(ReadOnlyMemory part))

    let keysOf position =
        [ for part in removed do
              if part.Position = position then yield! part.Keys ]

    let replace key revision =
        let before =
            match written.TryGetValue key with
            | true, before -> before
            | _ -> 0L

        Expect.equal revision before $"the revision that revision {logged.Revision} says it replaced"

    let deleted (key: ReadOnlyMemory<byte>) revision =
        let key = Translation.bytes key
        replace key revision
        written.Remove key |> ignore
        key

    let effect position (change: Core.Change) =
        match change with
        | :? Core.Change.Put as put ->
            let key = Translation.bytes put.Key
            replace key put.Replaced
            written[key] <- logged.Revision
            let header = Core.RecordHeader(put.CreateRevision, logged.Revision, put.Version)
            Effect.Put(key, Translation.entry header put.Value)
        | :? Core.Change.Delete as delete ->
            let key = deleted delete.Key delete.Replaced
            Effect.Delete(KeyRange.single key, [ key ])
        | :? Core.Change.DeleteRange as delete ->
            let keys = keysOf position |> List.map (fun removed -> deleted removed.Key removed.Replaced)
            Expect.equal delete.Removed (int64 keys.Length) $"keys that revision {logged.Revision} says it removed"
            Effect.Delete(Translation.rangeBack delete.Range, keys)
        | other -> failtestf "revision %d logs a %s" logged.Revision (other.GetType().Name)

    record, record.Changes |> Seq.mapi effect |> List.ofSeq

/// What a table says that it did at each revision, from the first one on.
let records (reader: Core.ITableReader) =
    let changes = reader.OpenChanges(1L, true)
    let written = Dictionary<Bytes, int64>()

    let next () =
        match changes.Read(1 <<< 20) with
        | :? Core.ChangelogRead.Records as read ->
            Some([ for change in read.Items -> struct (change.Revision, change.Part, change.Record.ToArray()) ], ())
        | :? Core.ChangelogRead.CaughtUp -> None
        | other -> failtestf "the changelog says %A" other

    List.unfold next ()
    |> List.concat
    |> byRevision
    |> List.map (fun logged -> logged.Revision, snd (effects written logged))

/// The log's effects, applied as commands to an empty table, lead to the same data by the same chain.
let private replayed (commands: Core.TableCommand list) =
    let writer = Core.EntryWriter()
    List.iter writer.Append commands
    let store = MemoryTableStore(Translation.incarnation Generate.incarnation)
    Core.TableMachine(store).Apply(ReadOnlySpan [| Core.CommittedEntry(1L, 1L, writer.ToPayload(), null) |])
    store :> Core.ITableStore

/// Records of every revision, linked to one chain that ends in the store's, with the model's effects.
let verify (environment: ITableEnvironment) (model: State) content =
    let logged = byRevision (environment.Changes 1L)
    Expect.equal (List.map _.Revision logged) [ 1L .. model.Revision ] "revisions in the changelog"

    let mutable chain = Core.ChainHash.Seed(Translation.incarnation Generate.incarnation)
    let commands = ResizeArray()
    let written = Dictionary<Bytes, int64>()

    for record in logged do
        let memory = ReadOnlyMemory record.Record
        Expect.isTrue (Core.ChangeCodec.Continues(chain, record.Revision, memory)) $"revision {record.Revision} continues the chain"
        let change, actual = effects written record
        Expect.equal actual model.Changelog.Records[record.Revision] $"effects of revision {record.Revision}"
        chain <- change.Chain
        let read = environment.Store.ReadChain record.Revision
        Expect.equal read (Core.ChainRead(true, chain, 1L)) $"the chain hash that the store has of revision {record.Revision}"
        commands.Add(change.ToCommand())

    let applied = environment.Store.Applied

    if model.Revision > 0L then
        Expect.equal chain applied.Chain "the changelog's last link"
        let copy = replayed (List.ofSeq commands)
        Expect.equal copy.Applied.Chain applied.Chain "the chain of the replayed changelog"
        content copy model
