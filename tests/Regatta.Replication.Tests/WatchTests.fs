/// Watches of a table that is written to and trimmed, by clients that read when they like, leave in the middle and come back: each gets every change of its keys, in order, once.
module Regatta.Replication.Tests.WatchTests

open System
open Expecto
open Regatta
open Regatta.Replication
open Regatta.Testing

/// An event, to be compared.
type private Seen = { Revision: int64; Key: string; Value: string option; Created: int64; Version: int64 }

let private text (bytes: ReadOnlyMemory<byte>) = Convert.ToHexString bytes.Span

let private seen (event: WatchEvent) =
    { Revision = event.Revision
      Key = text event.Key
      Value = if event.IsDelete then None else Some(text event.Value)
      Created = event.CreateRevision
      Version = event.Version }

/// What the changelog says happened at a revision, read in one go.
let private happened (records: Core.StoredChange list) =
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
                      for key in part.Keys do
                          deleted key ]

let private history (table: LeaderTable) =
    let changes = (table :> Core.ITableReader).OpenChanges(table.Oldest, true)

    let rec all read =
        match changes.Read 1_000_000 with
        | :? Core.ChangelogRead.Records as records -> all (List.rev (List.ofSeq records.Items) @ read)
        | _ -> List.rev read

    all [] |> List.groupBy _.Revision |> List.map (fun (revision, records) -> revision, happened records)

/// A client of one watch, which remembers what it has had.
type private Client(watches: TableWatches, keys: Core.KeyRange, start: int64) =
    let had = ResizeArray<Seen>()
    let mutable next = start
    let mutable skip = 0
    let mutable isReady = false
    let mutable watch: Watch option = None
    let mutable ended: WatchEnd option = None

    let openWatch () =
        let opened = watches.Watch(keys, next, int64 skip, (fun _ -> isReady <- true))
        watch <- Some opened
        opened.Start()

    do openWatch ()

    member _.Start = start
    member _.Next = next
    member _.Ended = ended
    member _.IsReady = isReady && ended.IsNone
    member _.Had = List.ofSeq had
    member _.Wants(event: Seen) = keys.Contains(ReadOnlySpan(Convert.FromHexString event.Key))

    member _.Read() =
        isReady <- false

        match watch.Value.Next() with
        | :? WatchItem.Events as events ->
            had.AddRange(events.Items |> Seq.map seen)

            if events.IsComplete then
                next <- events.Revision + 1L
                skip <- 0
            else
                let more = events.Items |> Seq.filter (fun event -> event.Revision = events.Revision) |> Seq.length
                skip <- (if events.Revision = next then skip else 0) + more
                next <- events.Revision
        | :? WatchItem.Progress as progress -> next <- max next (progress.Revision + 1L)
        | :? WatchItem.Ended as last -> ended <- Some last.End
        | null -> ()
        | other -> failtest $"{other}"

    /// Goes away, whatever was under way, and comes back where it was.
    member _.ComeBack() =
        watch.Value.Close()
        if ended.IsNone then openWatch ()

    member _.Ask() = watch.Value.AskForProgress()

let private drawKeys (scene: Scene) =
    let bound () = Array.init (scene.Random.Next 3) (fun _ -> byte (scene.Random.Next(97, 103)))

    match scene.Random.Next 4 with
    | 0 -> Core.KeyRange.Single(ReadOnlyMemory(bound ()))
    | 1 -> Core.KeyRange.From(ReadOnlyMemory(bound ()))
    | 2 -> Core.KeyRange.From(ReadOnlyMemory [| 0uy |])
    | _ -> Core.KeyRange.Interval(ReadOnlyMemory(bound ()), ReadOnlyMemory(bound ()))

let private run seed =
    task {
        let scene = Scene(seed, false)
        let table = LeaderTable(scene, Core.Incarnation(Guid(Array.init 16 byte), 1L))
        let watches = TableWatches table
        // Others write between a reader's look and its next step.
        let busy () = if scene.Random.Next 8 = 0 then table.Write()
        table.AfterRead <- busy
        let clients = ResizeArray<Client>()
        let mutable all = Map.empty

        let note () =
            table.AfterRead <- ignore

            for revision, events in history table do
                all <- Map.add revision events all

            table.AfterRead <- busy

        for _ in 1..300 do
            match scene.Random.Next 100 with
            | draw when draw < 40 ->
                for _ in 0 .. scene.Random.Next 4 do
                    table.Write()
            | draw when draw < 50 && clients.Count < 12 ->
                clients.Add(Client(watches, drawKeys scene, max 1L (scene.Random.NextInt64(table.Revision + 4L))))
            | draw when draw < 90 && clients.Count > 0 ->
                let client = clients[scene.Random.Next clients.Count]
                if client.IsReady then client.Read()
            | draw when draw < 94 && clients.Count > 0 -> clients[scene.Random.Next clients.Count].ComeBack()
            | draw when draw < 98 && clients.Count > 0 -> clients[scene.Random.Next clients.Count].Ask()
            | 99 ->
                note ()
                if table.Revision > 0L then table.Trim()
            | _ -> ()

        note ()
        table.AfterRead <- ignore

        for client in clients do
            client.Ask()

            while client.IsReady do
                client.Read()

        for client in clients do
            match client.Ended with
            | Some(:? WatchEnd.Compacted as compacted) ->
                Expect.isLessThan client.Next compacted.Oldest $"seed {seed}: only what is not kept is refused"
            | Some other -> failtest $"seed {seed}: {other}"
            | None -> Expect.equal client.Next (max client.Start (table.Revision + 1L)) $"seed {seed}: all was sent"

            let expected =
                [ for revision, events in Map.toSeq all do
                      if revision >= client.Start && revision < client.Next then yield! List.filter client.Wants events ]

            let complete = client.Had |> List.filter (fun event -> event.Revision < client.Next)
            Expect.sequenceEqual complete expected $"seed {seed}: from {client.Start} to {client.Next}"

        do! watches.DisposeAsync()
        return clients.Count, clients |> Seq.sumBy _.Had.Length, clients |> Seq.filter _.Ended.IsSome |> Seq.length
    }

let tests =
    testList
        "watches"
        [ testCaseTask "bring every change of their keys, in order, once" (fun () ->
              task {
                  let count = Scale.pick 200 5_000
                  let mutable watched, events, compacted = 0, 0, 0

                  for seed in Seed.current .. Seed.current + count - 1 do
                      let! clients, had, ended = run seed
                      watched <- watched + clients
                      events <- events + had
                      compacted <- compacted + ended

                  printfn $"{count} runs: {watched} watches, {events} events, {compacted} watches that came too late"
                  Expect.isGreaterThan events count "events"
                  Expect.isGreaterThan compacted 0 "some came too late"
              }) ]
