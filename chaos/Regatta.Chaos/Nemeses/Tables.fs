/// Tables that come and go.
module Regatta.Chaos.Tables

open System
open System.Threading
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.V1

let mutable private number = 0
let private soon () = Nullable(DateTime.UtcNow.AddSeconds 3.0)

/// What the table's first and second life hold must not be mixed up. Whatever fails because of other faults is left as it is.
let private lives (stage: Stage) =
    task {
        let name = $"life-{Interlocked.Increment &number}"
        let place = Nemesis.one stage.Draw (stage.Fleet.Shape.Of 0)
        let tables = Regatta.Protocol.V1.Tables.TablesClient(stage.Doors.To place)
        let kv = KV.KVClient(stage.Doors.To place)
        let bytes (text: string) = ByteString.CopyFromUtf8 text
        let zero = ByteString.CopyFrom 0uy
        let mutable came = Inflicted "created, deleted, created anew"

        try
            let! _ = tables.CreateAsync(CreateTableRequest(Name = name), deadline = soon ()).ResponseAsync

            for count in 1..5 do
                let! _ =
                    kv
                        .PutAsync(PutRequest(Table = bytes name, Key = bytes $"old/{count}", Value = bytes "old"), deadline = soon ())
                        .ResponseAsync

                ()

            let! _ = tables.DeleteAsync(DeleteTableRequest(Name = name), deadline = soon ()).ResponseAsync
            let! _ = tables.CreateAsync(CreateTableRequest(Name = name), deadline = soon ()).ResponseAsync

            let! first =
                kv.PutAsync(PutRequest(Table = bytes name, Key = bytes "new", Value = bytes "new"), deadline = soon ()).ResponseAsync

            let! all =
                kv
                    .RangeAsync(RangeRequest(Table = bytes name, Key = zero, RangeEnd = zero, Linearizable = true), deadline = soon ())
                    .ResponseAsync

            if first.Header.Revision <> 1UL || all.Kvs.Count <> 1 then
                stage.Journal.Finds
                    $"table {name} was deleted and created anew, and its first put had revision {first.Header.Revision}, and it had {all.Kvs.Count} keys"

            if stage.Draw.Next 2 = 0 then
                let! _ = tables.DeleteAsync(DeleteTableRequest(Name = name), deadline = soon ()).ResponseAsync
                came <- Inflicted "created, deleted, created anew, deleted"
        with :? RpcException as e ->
            came <- NotInflicted $"left as it was when a call failed: {e.StatusCode}"

        return
            { Target = $"{name}, at {Place.name place}"
              Lasts = TimeSpan.Zero
              Heal = Nemesis.over came }
    }

let all =
    [ { Name = "table-lives"
        What = "a table is created, written to, deleted and created anew under the same name"
        Lane = Other
        Obstacle = Nemesis.always
        Inflict = lives } ]
