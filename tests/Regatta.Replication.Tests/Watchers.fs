namespace Regatta.Replication.Tests

open System
open Regatta.Core
open Regatta.Replication

/// A client that watches a table at a node of the follower site, reads when it likes, and goes on at another node where it was: when it wants to, when the node dies, and when the node ends the watch.
/// It must get what the leader site did, in order, once.
[<Sealed>]
type HoppingWatch(scene: Scene, table: Followed) =
    let keys = Seen.drawKeys scene.Random
    let mutable opened: struct (int * Watch) voption = ValueNone
    let mutable isReady = false
    let mutable next = 1L
    let mutable skip = 0
    let mutable chain = Nullable<ChainHash>()
    let mutable had = 0

    /// What is to come of the revision that is next.
    let due () = table.Own.Events next |> List.filter (Seen.isOf keys) |> List.skip skip

    let pass () =
        if not (due().IsEmpty) then scene.Blame $"a watch passed {due().Length} events of revision {next} by"
        next <- next + 1L
        skip <- 0

    let passTo revision =
        while next < revision do
            pass ()

    let take (event: Seen) =
        if event.Revision < next then
            scene.Blame $"a watch was told again of revision {event.Revision}"
        elif event.Revision > table.Own.Revision then
            scene.Blame $"a watch was told of revision {event.Revision}, which the leader site does not have"
        else
            passTo event.Revision

            match due () with
            | expected :: _ when expected = event ->
                had <- had + 1
                skip <- skip + 1
            | expected -> scene.Blame $"a watch was told %A{event}, and %A{List.tryHead expected} was next"

    let leave () =
        match opened with
        | ValueSome(_, watch) ->
            watch.Close()
            opened <- ValueNone
        | ValueNone -> ()

    let ended index (reason: WatchEnd) =
        opened <- ValueNone

        match reason with
        | :? WatchEnd.Compacted as compacted ->
            if next >= compacted.Oldest then
                scene.Blame $"a watch of revision {next} was refused, and the oldest is {compacted.Oldest}"
            // The client reads the table there, and watches from behind what it has read.
            next <- table.Groups.Nodes[index].Revision + 1L
            skip <- 0
            chain <- Nullable()
        | :? WatchEnd.OtherHistory -> scene.Blame $"a watch of revision {next} was refused for its history, and there is only one"
        | :? WatchEnd.Failed as failed -> scene.Blame $"a watch failed: {failed.Cause}"
        | _ -> ()

    let read index (watch: Watch) =
        isReady <- false

        match watch.Next() with
        | :? WatchItem.Events as events ->
            if events.IsComplete || events.Revision <> next then chain <- events.Chain
            events.Items |> Seq.iter (Seen.ofEvent >> take)
            passTo (if events.IsComplete then events.Revision + 1L else events.Revision)
        | :? WatchItem.Progress as progress when progress.Revision >= next ->
            passTo (progress.Revision + 1L)
            chain <- progress.Chain
        | :? WatchItem.Ended as last -> ended index last.End
        | _ -> ()

    let join index (watches: TableWatches) =
        isReady <- false

        let isOurs watch =
            match opened with
            | ValueSome(_, ours) -> obj.ReferenceEquals(watch, ours)
            | ValueNone -> false

        // What a watch that is not ours any more says is heard by nobody.
        let watch =
            watches.Watch(
                WatchedKeys(keys, false),
                WatchStart(next, int64 skip, chain),
                (fun watch -> if isOurs watch then isReady <- true)
            )

        opened <- ValueSome(struct (index, watch))
        scene.Tell(fun () -> $"{table.Groups.Nodes[index]} is watched from revision {next} on, but for {skip} events")
        watch.Start()

    member _.Had = had

    member _.Step(watches: TableWatches array) =
        match opened with
        | ValueNone ->
            let index = scene.Random.Next watches.Length
            if not table.Groups.Nodes[index].IsDown then join index watches[index]
        | ValueSome _ when scene.Happens 20 -> leave ()
        | ValueSome(index, watch) -> if isReady then read index watch

    /// The process with which it has its stream is gone.
    member _.Forget(node: int) =
        match opened with
        | ValueSome(index, _) when index = node -> opened <- ValueNone
        | _ -> ()

    /// All is well: it gets everything that there is.
    member watch.CheckTheEnd(watches: TableWatches array) =
        let mutable asked: Watch | null = null
        let mutable steps = 0

        while next <= table.Own.Revision && steps < 1_000 do
            steps <- steps + 1
            watch.Step watches

            match opened with
            | ValueSome(_, current) when not (obj.ReferenceEquals(asked, current)) ->
                asked <- current
                current.AskForProgress()
            | _ -> ()

        if next <= table.Own.Revision then
            scene.Blame $"a watch has come to revision {next - 1L} when all has been well, and the leader site is at {table.Own.Revision}"

/// The watches of one table at the nodes of the follower site.
[<Sealed>]
type Watchers(scene: Scene, table: Followed) =
    let nodes = table.Groups.Nodes
    let watches = nodes |> Array.map TableWatches
    let clients = [ for _ in 1..2 -> HoppingWatch(scene, table) ]

    member _.Had = clients |> List.sumBy _.Had

    member _.Step() =
        for client in clients do
            client.Step watches

    /// The node's process is another one.
    member _.Forget(index: int) =
        watches[index] <- TableWatches nodes[index]

        for client in clients do
            client.Forget index

    member _.CheckTheEnd() =
        for client in clients do
            client.CheckTheEnd watches
