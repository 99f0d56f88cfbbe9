namespace Regatta.Integration.Tests

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Testing
open Regatta.Testing.Tables
open Regatta.Testing.Nodes

/// Where the follower site stands beside the leader site's changelog.
type Position =
    /// A node of the leader site has what it needs next.
    | Follows
    /// No node has.
    | IsLeftBehind

/// Both sites, with a link to each node of the leader site.
/// <param name="change">What is done to each node's start.</param>
type TwoSites(scratch: Scratch, leaderOptions: string list, change: NodeStart -> NodeStart) =
    static let patience = TimeSpan.FromSeconds 120.0
    let changed launch id data ports options : NodeStart = launch id data ports options |> change
    let leader = new Site(changed Launch.siteNode, (fun index -> scratch.Sub $"leader-{index + 1}"), leaderOptions)
    let links = [ for _ in Site.All -> new Relay() ]
    let addresses = [ for link in links -> link.Address ]
    let directory index = scratch.Sub $"follower-{index + 1}"
    let follower = new Site(changed (Launch.followerNode addresses), directory, [])
    let states = HashSet<string>()

    /// As long as the leader site has one history.
    let compare () =
        match leader.Traced, follower.Traced with
        | Some theirs, Some ours ->
            let states = Traces.verifyFollower theirs ours
            Expect.isGreaterThan states 0 "states of the follower site"
            Report.fact $"traces: {states} times a node of the follower site went on to a state, each time one of the leader site's"
        | _ -> ()

    let connect () = links |> List.iteri (fun index link -> link.LeadTo(Some(leader.Replication index)))

    do connect ()

    new(scratch, leaderOptions) = new TwoSites(scratch, leaderOptions, id)

    member _.Leader = leader
    member _.Follower = follower
    member _.Links = links

    /// Nothing goes between the sites.
    member _.Part() =
        for link in links do
            link.Close()

    member _.Until(position: Position) =
        task {
            let since = Stopwatch.StartNew()
            let mutable there = false

            while not there do
                let! theirs = Site.All |> List.map leader.Status |> Task.WhenAll
                let! ours = Site.All |> List.map follower.Status |> Task.WhenAll
                let next = 1UL + (ours |> Seq.choose id |> Seq.map _.Revision |> Seq.fold max 0UL)
                let has (status: TableStatus) = status.OldestRevision <= next

                there <-
                    match position with
                    | Follows -> theirs |> Array.exists (Option.exists has)
                    | IsLeftBehind -> theirs |> Array.forall (Option.exists (has >> not))

                if since.Elapsed > patience then
                    leader.Fail
                        $"after {patience} it was not so that the follower site %A{position}: its next revision is {next}, and of the leader site %A{theirs}"

                if not there then do! Task.Delay(Readers.pause, TimeProvider.System)
        }

    /// Kills the leader site's nodes and does something with their directories.
    member _.Leaderless(change: string list -> unit) =
        task {
            do! leader.Kill Site.All
            leader.EndTraces()
            change [ for index in Site.All -> scratch.Sub $"leader-{index + 1}" ]

            for index in Site.All do
                leader.Start index

            do! leader.Ready()
        }

    /// The links are as they were at first.
    member _.Join() =
        for link in links do
            link.CutAfter None

        connect ()

    /// The whole states of the leader site that have been seen in a table's place so far, on any node of the follower site.
    member _.States =
        for index in Site.All do
            let generations = Path.Combine(directory index, "generations")

            if Directory.Exists generations then
                for current in Directory.GetFiles(generations, "current", SearchOption.AllDirectories) do
                    states.Add $"{index} {File.ReadAllText current}" |> ignore

        states.Count

    /// The chain hash of every node of a site at a revision, as far as they still have it.
    member private _.Chains(site: Site, revision: int64) =
        task {
            use client = new Client(site.Port 0, Launch.table, patience)
            let! reply = client.HashesAt revision

            return
                [ for node in reply.Nodes do
                      if node.Error = "" then Convert.ToHexString node.ChainHash.Span ]
        }

    /// Until every node of the follower site has the leader site's revision, which comes with the same history, also at some of so many revisions before it, and with the same data.
    member sites.Converge(draw: Random, before: int64) =
        task {
            let! revision = leader.Agree()
            let since = Stopwatch.StartNew()

            for index in Site.All do
                use client = new Client(follower.Port index, Launch.table, patience)

                try
                    do! client.Await revision
                with :? RpcException as e ->
                    follower.Fail $"node {index + 1} did not get to revision {revision}: {e.Status}"

            let! reached = follower.Agree()
            Expect.equal reached revision "the follower site's revision"
            let! expected = leader.Clients[0].Dump()

            for index in Site.All do
                let! found = follower.Clients[index].Dump()
                Expect.equal found expected $"data of follower {index + 1} at revision {revision}"

            for at in revision :: List.init 5 (fun _ -> draw.NextInt64(max 1L (revision - before), max 2L revision)) do
                let! ours = sites.Chains(follower, at)
                let! theirs = sites.Chains(leader, at)

                match List.distinct (ours @ theirs) with
                | [ _ ] when ours.Length = 3 && theirs.Length = 3 -> ()
                | _ -> follower.Fail $"histories at revision {at}: follower site %A{ours}, leader site %A{theirs}"

            return since.Elapsed
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    leader.End()
                    follower.End()
                    Afterwards.check compare
                    (follower :> IDisposable).Dispose()
                    (leader :> IDisposable).Dispose()

                    for link in links do
                        do! (link :> IAsyncDisposable).DisposeAsync()
                }
            )
