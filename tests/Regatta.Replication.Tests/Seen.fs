namespace Regatta.Replication.Tests

open System
open Regatta
open Regatta.Replication

/// An event of a watch, to be compared.
type Seen = { Revision: int64; Key: string; Value: string option; Created: int64; Version: int64 }

module Seen =
    let text (bytes: ReadOnlyMemory<byte>) = Convert.ToHexString bytes.Span

    let isOf (keys: Core.KeyRange) (event: Seen) = keys.Contains(ReadOnlySpan(Convert.FromHexString event.Key))

    let ofEvent (event: WatchEvent) =
        { Revision = event.Revision
          Key = text event.Key
          Value = if event.IsDelete then None else Some(text event.Value)
          Created = event.CreateRevision
          Version = event.Version }

    /// What the changelog says happened at a revision, read in one go.
    let ofRecords (records: Core.StoredChange list) =
        let revision = records.Head.Revision
        let parts = records.Tail |> List.map (fun part -> Core.ChangeCodec.ReadRemovedKeys part.Record)
        let deleted key = { Revision = revision; Key = text key; Value = None; Created = 0L; Version = 0L }

        [ for position, change in Seq.indexed (Core.ChangeCodec.Read records.Head.Record).Changes do
              match change with
              | :? Core.Change.Put as put ->
                  { Revision = revision
                    Key = text put.Key
                    Value = Some(text put.Value)
                    Created = put.CreateRevision
                    Version = put.Version }
              | :? Core.Change.Delete as delete -> deleted delete.Key
              | _ ->
                  for part in parts do
                      if part.Position = position then
                          for removed in part.Keys do
                              deleted removed.Key ]

    /// Keys as a watch may ask for them, where keys are what the specification's generator makes.
    let drawKeys (random: Random) =
        let bound () = Array.init (random.Next 3) (fun _ -> byte (random.Next(97, 103)))

        match random.Next 4 with
        | 0 -> Core.KeyRange.Single(ReadOnlyMemory(bound ()))
        | 1 -> Core.KeyRange.From(ReadOnlyMemory(bound ()))
        | 2 -> Core.KeyRange.From(ReadOnlyMemory [| 0uy |])
        | _ -> Core.KeyRange.Interval(ReadOnlyMemory(bound ()), ReadOnlyMemory(bound ()))
