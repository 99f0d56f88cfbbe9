namespace Regatta.Replication.Tests

open System
open System.Collections.Generic
open System.Text
open Regatta.Protocol.Sessions
open Regatta.Replication

/// How recent each node of the follower site knows a table to be, by probes of the leader site that are late or lost; held against when the leader site wrote what is not here.
[<Sealed>]
type Bounds(scene: Scene, site: LeaderSite, table: Followed, bug: PlantedBug) =
    let nodes = table.Groups.Nodes
    let fresh = nodes |> Array.map TableFreshness
    let isUp (node: FollowerNode) = not (node.IsDown || node.IsClosed)

    let check index =
        let node = nodes[index]

        if isUp node then
            let moment = fresh[index].Moment
            let missing = node.Revision + 1L

            if missing <= table.Own.Revision && table.Own.WrittenAt missing < moment then
                scene.Blame
                    $"{node} is at revision {node.Revision} and says that it has everything from before {TimeSpan moment}, and revision {missing} was written at {TimeSpan(table.Own.WrittenAt missing)}"

    /// What the leader site's node answers now: its leader knows by a heartbeat a while ago.
    let answer () =
        match site[table.Name] with
        | Answers answering when Object.ReferenceEquals(answering.Table, table.Own) ->
            let revision = table.Own.Revision
            Some struct (revision, snd (table.Own.At revision), (scene.While 300).Ticks)
        | _ -> None

    let take index (asking: TableFreshness) asked (struct (revision, chain, age: int64)) =
        if isUp nodes[index] && Object.ReferenceEquals(asking, fresh[index]) then
            let since = if bug = CountsFromTheAnswer then scene.Time.GetTimestamp() else asked
            let sighting = Sighting(revision, chain, since - age)
            asking.Saw &sighting
            scene.Tell(fun () -> $"{nodes[index]} hears that revision {revision} was the last one at {TimeSpan sighting.Moment}")
            check index

    /// A node asks; the answer comes in a while, or never.
    member _.Probe(index: int) =
        let asked = scene.Time.GetTimestamp()
        let asking = fresh[index]

        if not (scene.Happens 10) then
            scene.After(
                scene.While 400,
                fun () ->
                    match answer () with
                    | Some answer when not (scene.Happens 10) -> scene.After(scene.While 800, (fun () -> take index asking asked answer))
                    | _ -> ()
            )

        check index

    /// The node's process is another one.
    member _.Forget(index: int) = fresh[index] <- TableFreshness nodes[index]

    member _.CheckTheEnd() =
        for index in 0 .. nodes.Length - 1 do
            let age = TimeSpan(scene.Time.GetTimestamp() - fresh[index].Moment)

            if age > TimeSpan.FromSeconds 1.0 then
                scene.Blame $"{nodes[index]} says that it is up to {age} stale when all has been well"

/// A session that goes from node to node and between tables, with the token that nodes and clients use. It must never be shown less than it has seen.
[<Sealed>]
type HoppingSession(scene: Scene, tables: unit -> Followed list, bug: PlantedBug) =
    let seen = Dictionary<int64, int64>()
    let mutable token = SessionToken.Empty
    let mutable reads = 0

    let seenOf (table: Followed) =
        match seen.TryGetValue table.Life.Number with
        | true, revision -> revision
        | false, _ -> 0L

    let note (table: Followed) revision =
        let told = SeenTable(table.Life.History, table.Life.Number, revision)
        token <- token.With(ReadOnlySpan(Encoding.UTF8.GetBytes table.Name), &told)
        seen[table.Life.Number] <- max revision (seenOf table)

    let read (table: Followed) (node: FollowerNode) =
        reads <- reads + 1

        if node.Revision < seenOf table then
            scene.Blame $"a session was shown revision {node.Revision} by {node}, and has seen {seenOf table}"

        note table node.Revision

    /// As a node does it with the token that comes.
    let serve (table: Followed) (node: FollowerNode) =
        let name = Encoding.UTF8.GetBytes table.Name

        match token.Find(table.Life.History, ReadOnlySpan name) |> Option.ofNullable with
        | Some told when told.Number < table.Life.Number ->
            let fresh = SeenTable(table.Life.History, table.Life.Number, 0L)
            token <- token.Instead(ReadOnlySpan name, &fresh)
        // The node has not heard of the new table yet, or of what was seen of it: it would wait.
        | Some told when bug <> ForgetsTheSession && (told.Number > table.Life.Number || told.Revision > node.Revision) -> ()
        | _ -> read table node

    member _.Reads = reads

    member _.Step() =
        // It travels as text.
        match SessionToken.TryParse(token.ToString()) with
        | true, NonNull again, _ -> token <- again
        | _, _, problem -> scene.Blame $"a token cannot be read: {problem}"

        let table = scene.Choose(Array.ofList (tables ()))
        let node = scene.Choose table.Groups.Nodes

        if scene.Random.Next 4 = 0 then
            table.Own.Write()
            note table table.Own.Revision
        elif not (node.IsDown || node.IsClosed) then
            serve table node
