namespace Regatta.Replication.Tests

open System
open Regatta
open Regatta.Core
open Regatta.Replication
open Regatta.Testing.Tables

/// One life of a table: the leader site's, with the groups that follow it, held against it after every entry.
/// `former`: the table that had the name before.
[<Sealed>]
type Followed(scene: Scene, name: string, life: Incarnation, former: LeaderTable option, bug: PlantedBug) =
    let own = LeaderTable(scene, life)

    let contentOf (node: FollowerNode) =
        use view = node.Table.Reader.OpenView()
        use cursor = view.Scan(KeyRange.From ReadOnlyMemory.Empty)

        [ while cursor.MoveNext() do
              let value = ReadOnlyMemory(cursor.Value.ToArray())
              Spec.Bytes.OfSpan cursor.Key, Translation.entry cursor.Header value ]

    /// A node is at a revision of the leader site's own table, and is there what that was.
    let check (node: FollowerNode) =
        if node.Revision > own.Revision then
            scene.Blame $"{node} is at revision {node.Revision}, and the leader site at {own.Revision}"
        else
            let state, chain = own.At node.Revision

            if node.State.Incarnation <> life then
                scene.Blame $"{node} lives the life {node.State.Incarnation}"
            elif node.Revision > 0L && node.State.Chain <> chain then
                scene.Blame $"{node} has another chain hash at revision {node.Revision}: it holds another history"
            elif contentOf node <> Map.toList state.Entries then
                scene.Blame $"{node} has another content at revision {node.Revision}"

    let groups = FollowerSite(scene, life, 3, bug, check)

    /// The own table put back to a state that the follower site has passed, and written on: a fork. What was written may be the same at first.
    let rec otherwise committed =
        let table = own.PutBack(scene.Random.NextInt64 committed)

        for _ in 0 .. scene.Random.Next 20 do
            table.Write()

        let isFork = table.Revision < committed || snd (table.At committed) <> snd (own.At committed)
        if isFork then table else otherwise committed

    let elsewhere life =
        let table = LeaderTable(scene, life)

        for _ in 1 .. scene.Random.Next 20 do
            table.Write()

        if scene.Random.Next 3 = 0 then table.Trim()
        table

    let otherHistory = Guid "f0e6b8f1-5aa1-4a1b-b0ab-0c4b7c0d3b52"
    let answer manners table = Answers { Table = table; Manners = manners; IsFork = false }

    member _.Name = name
    member _.Life = life
    member _.Own = own
    member _.Groups = groups
    member _.Group(node: int64) = groups.Nodes[int node - 1]
    member followed.Target(node: int64) = PullTarget(name, life, followed.Group node)

    /// Who asks for the table finds it.
    member _.AnswerAt (site: LeaderSite) () = site[name] <- answer Honest own

    /// Who answers in the place of the own leader site, for a while.
    member _.Intruder() =
        let manners = scene.Choose [| Honest; Honest; Careless; Nameless |]
        let committed = groups.CommittedRevision

        match scene.Random.Next 9, former with
        | 0, _ -> Nobody
        | 1, Some former -> answer manners former
        | (1 | 2), _ -> answer manners (own.PutBack(scene.Random.NextInt64(own.Revision + 1L)))
        | (3 | 4), _ when committed > 0L -> Answers { Table = otherwise committed; Manners = Honest; IsFork = true }
        | (5 | 6), _ -> answer manners (elsewhere (Incarnation(otherHistory, life.Number)))
        // Far away from the lives that the table has at its own leader site.
        | 7, _ -> answer manners (elsewhere (Incarnation(life.History, life.Number + 1000L)))
        | _ -> answer manners (elsewhere (Incarnation(life.History, life.Number - 6L)))
