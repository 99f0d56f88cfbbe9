namespace Regatta.Integration.Tests

open System
open System.Collections.Generic
open System.Diagnostics
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Testing
open Regatta.Testing.Tables
open Regatta.Testing.Nodes

/// A site of three nodes, each a process of its own. Nodes are numbered from 0 here; their ids are one higher. Its ports stay the same for as long as it
/// lives, and so do its clients. At its end all that its nodes wrote down of their groups is held against the specification.
type Site(launch: int -> string -> Ports list -> string list -> NodeStart, directoryOf: int -> string, options: string list) =
    static let size = 3

    /// Generous, as that of a node: so long may a site take to agree.
    static let patience = TimeSpan.FromSeconds 120.0

    let ports = List.init size (fun _ -> Ports.Take())
    let starts = List.init size (fun index -> launch (index + 1) (directoryOf index) ports options)
    let nodes: NodeProcess option array = Array.create size None
    let traces = new Scratch()
    let mutable isTraced = true
    let mutable wasReady = false
    let clients = Array.init size (fun index -> new Client(ports[index].Clients, Launch.table, TimeSpan.FromSeconds 5.0))

    let statusOf index =
        task {
            try
                let! status = clients[index].Status()

                return
                    match status.Tables.TryGetValue Launch.table with
                    | true, table -> Some table
                    | false, _ -> None
            with :? RpcException ->
                return None
        }

    /// A leader site.
    new(directoryOf, options) = new Site(Launch.siteNode, directoryOf, options)

    static member All = List.init size id

    /// The other nodes.
    static member Except(index: int) = Site.All |> List.except [ index ]

    member _.Clients = clients
    member _.Port(index: int) = ports[index].Clients

    /// Where follower sites pull from a node.
    member _.Replication(index: int) = ports[index].Replication

    /// Where the other nodes find a node.
    member _.Raft(index: int) = ports[index].Base + 2

    /// The tables that a node serves, by name; none while it does not answer.
    member _.Tables(index: int) =
        task {
            try
                let! status = clients[index].Status()
                return status.Tables.Keys |> Seq.sort |> List.ofSeq
            with :? RpcException ->
                return []
        }

    /// What a node says of the table; None while it does not answer.
    member _.Status(index: int) = statusOf index

    member site.Fail(what: string) : 'a =
        let outputs =
            nodes
            |> Array.mapi (fun index node ->
                let output = node |> Option.map _.Output |> Option.defaultValue ""
                $"--- node {index + 1} printed last:{Environment.NewLine}{output}")

        failtest (String.concat Environment.NewLine (Seq.append [ $"{what} (seed {Seed.current})" ] outputs))

    member site.Node(index: int) =
        match nodes[index] with
        | Some node -> node
        | None -> failwith $"node {index + 1} was never started"

    /// Starts a node that does not run, and returns at once.
    member _.Start(index: int) =
        nodes[index] |> Option.iter (fun node -> (node :> IDisposable).Dispose())
        let start = starts[index]
        let traced = if isTraced then [ "--raft.trace-dir"; traces.Path ] else []
        nodes[index] <- Some(NodeProcess.Start { start with Arguments = start.Arguments @ traced })

    /// What the nodes have written down; None when that has ended.
    member _.Traced = if isTraced then Some(Traces.read traces.Path) else None

    /// What is measured must not be slowed down; and what is done to disks behind the nodes' backs is none of the specification.
    member _.EndTraces() =
        if isTraced then
            isTraced <- false
            let seen = Traces.verify (Traces.read traces.Path)

            if wasReady then
                Expect.isGreaterThan seen.Elections 0 "elections in the traces of a site that was ready"

                Report.fact (Traces.text seen)

    /// Until every node accepts writes; a failure when one ended instead.
    member site.Ready() =
        task {
            for index in Site.All do
                match! site.Node(index).Settled(fun _ -> false) with
                | Ready -> ()
                | NotReady _
                | Ended -> site.Fail $"node {index + 1} ended before it was ready"

            wasReady <- true
        }

    member site.StartAll() =
        task {
            Site.All |> List.iter site.Start
            do! site.Ready()
        }

    /// kill -9 of these nodes at once, and waits until they are gone.
    member site.Kill(indexes: int list) =
        task {
            let! _ = indexes |> List.map (fun index -> task { do! site.Node(index).Kill() }) |> Task.WhenAll
            ()
        }

    /// The node that leads the table, as the nodes say which have seen the highest term.
    member site.Leader() =
        task {
            let since = Stopwatch.StartNew()
            let mutable leader = None

            while Option.isNone leader do
                let! answers = Site.All |> List.map statusOf |> Task.WhenAll

                leader <-
                    answers
                    |> Seq.choose id
                    |> Seq.sortByDescending _.RaftTerm
                    |> Seq.tryHead
                    |> Option.map (fun status -> int status.Leader - 1)
                    |> Option.filter (fun index -> index >= 0)

                if leader.IsNone then
                    if since.Elapsed > patience then site.Fail $"no node knew a leader within {patience}"

                    do! Task.Delay(Readers.pause, TimeProvider.System)

            return leader.Value
        }

    /// Until all nodes have the same revision, which then must come with the same chain hash; that revision.
    member site.Agree() =
        task {
            let since = Stopwatch.StartNew()
            let mutable agreed = None

            while Option.isNone agreed do
                let! answers = Site.All |> List.map statusOf |> Task.WhenAll
                let known = answers |> Seq.choose id |> List.ofSeq
                let hashes = known |> List.groupBy _.Revision |> List.map (fun (revision, same) -> revision, same |> List.map _.ChainHash)

                match hashes |> List.filter (fun (_, hashes) -> (List.distinct hashes).Length > 1) with
                | (revision, _) :: _ -> site.Fail $"nodes have different histories at revision {revision}: %A{known}"
                | [] -> ()

                match hashes with
                | [ revision, all ] when all.Length = size -> agreed <- Some(int64 revision)
                | _ ->
                    if since.Elapsed > patience then site.Fail $"the nodes did not reach one revision within {patience}: %A{known}"

                    do! Task.Delay(Readers.pause, TimeProvider.System)

            return agreed.Value
        }

    /// Workers of all nodes. When a call of one has failed, it goes on with the next node that serves a linearizable read, or, every other one, with the same node
    /// when that does: so with six workers or more every node that is there has somebody who writes through it.
    member _.Access(workers: int) =
        let positions = Array.init workers (fun worker -> worker % size)

        let serves index =
            task {
                try
                    let! _ = clients[index].Get("nobody's", true)
                    return true
                with :? RpcException ->
                    return false
            }

        let moveOn worker (stop: CancellationToken) : Task =
            task {
                let mutable going = true

                while going && not stop.IsCancellationRequested do
                    if worker % 2 = 1 then positions[worker] <- (positions[worker] + 1) % size

                    let! isServed = serves positions[worker]
                    going <- not isServed

                    if going then do! Task.Delay(Readers.pause, TimeProvider.System)
            }

        { Client = fun worker -> clients[positions[worker]]
          GoesOn = true
          MoveOn = moveOn }

    /// No node runs any more.
    member _.End() =
        for index in Site.All do
            nodes[index] |> Option.iter (fun node -> (node :> IDisposable).Dispose())
            nodes[index] <- None

    interface IDisposable with
        member site.Dispose() =
            site.End()
            clients |> Array.iter (fun client -> (client :> IDisposable).Dispose())
            ports |> List.iter (fun port -> (port :> IDisposable).Dispose())
            use _ = traces
            Afterwards.check site.EndTraces
