/// After all faults: all nodes of all sites have one history, and the same content.
module Regatta.Chaos.Agreement

open System
open System.Threading.Tasks
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Spec
open Regatta.Testing
open Regatta.Testing.Nodes

/// Generous: a node that takes longer hangs. When something has been found already nothing is proven by waiting.
let private patience = TimeSpan.FromSeconds 120.0

let private patienceOf (journal: Journal) = if journal.Findings.IsEmpty then patience else patience / 8.0

let private pause () = Task.Delay(TimeSpan.FromMilliseconds 100.0, TimeProvider.System)

/// Until there is an answer; None when it took too long, which is a finding.
let private until (journal: Journal) (what: string) (look: unit -> Task<'a option>) : Task<'a option> =
    task {
        let patience = patienceOf journal
        let limit = journal.Clock.Seconds + patience.TotalSeconds
        let mutable found = None
        let mutable last = ""

        while found.IsNone && journal.Clock.Seconds < limit do
            try
                let! now = look ()
                found <- now
            with :? RpcException as e ->
                last <- $"; the last answer was {e.Status}"

            if found.IsNone then do! pause ()

        if found.IsNone then journal.Finds $"%s{what} had not come after {patience}{last}"
        return found
    }

/// All nodes, past all links.
type Direct(fleet: Fleet, table: string) =
    let clientsOf patience = Map [ for place in fleet.Shape.All -> place, new Client(fleet.Ports(place).Clients, table, patience) ]
    let clients = clientsOf patience
    /// A node that stands still must not keep others from being asked.
    let quick = clientsOf (TimeSpan.FromSeconds 2.0)

    member _.To place = clients[place]

    /// What the node says of the table; None: it has none, or does not answer.
    member _.Status(place: Place) =
        task {
            try
                let! status = quick[place].Status()

                return
                    match status.Tables.TryGetValue table with
                    | true, found -> Some found
                    | _ -> None
            with :? RpcException ->
                return None
        }

    interface IDisposable with
        member _.Dispose() =
            for client in Seq.append clients.Values quick.Values do
                (client :> IDisposable).Dispose()

/// Clients are answered by every node, by the links that they have used all the time.
let answers (doors: Doors) (journal: Journal) =
    task {
        let asked (place: Place) =
            until journal $"an answer of {Place.name place} to its clients" (fun () ->
                task {
                    let! _ =
                        Cluster
                            .ClusterClient(doors.To place)
                            .StatusAsync(StatusRequest(), deadline = Nullable(DateTime.UtcNow.AddSeconds 4.0))
                            .ResponseAsync

                    return Some()
                })

        let! _ = doors.Shape.All |> List.map asked |> Task.WhenAll
        ()
    }

/// The revision at which the leader site came to rest.
let rest (fleet: Fleet) (direct: Direct) (journal: Journal) =
    let mutable before = None

    until journal "one revision on all nodes of the leader site" (fun () ->
        task {
            let! all = fleet.Shape.Of 0 |> List.map direct.Status |> Task.WhenAll

            let known =
                all |> Seq.choose id |> Seq.map (fun status -> int64 status.Revision, status.ChainHash) |> Seq.distinct |> List.ofSeq

            match known |> List.groupBy fst |> List.tryFind (fun (_, same) -> same.Length > 1) with
            | Some(revision, _) -> journal.Finds $"nodes of the leader site have different histories at revision {revision}"
            | None -> ()

            let now =
                match known with
                | [ (revision, _) ] when Array.forall Option.isSome all -> Some revision
                | _ -> None

            let isAtRest = now.IsSome && now = before
            before <- now
            // What is still on its way would come in between.
            if not isAtRest then do! pause ()
            return if isAtRest then now else None
        })

/// Every node of every site has the revision, with one chain hash and the same content.
let hold (fleet: Fleet) (direct: Direct) (journal: Journal) (revision: Revision) =
    task {
        let has (place: Place) =
            until journal $"revision {revision} on {Place.name place}" (fun () ->
                task {
                    let! status = direct.Status place
                    return status |> Option.filter (fun status -> int64 status.Revision >= revision)
                })

        let! there = fleet.Shape.All |> List.map has |> Task.WhenAll

        if Array.forall Option.isSome there then
            let hashes site =
                until journal $"hashes of the {Place.siteName site} site" (fun () ->
                    task {
                        let! reply = (direct.To { Site = site; Node = 0 }).HashesAt revision

                        return
                            if
                                Seq.length reply.Nodes = fleet.Shape.NodesPerSite
                                && reply.Nodes |> Seq.forall (fun node -> node.Error = "")
                            then
                                Some [ for node in reply.Nodes -> node.Hash, node.ChainHash ]
                            else
                                None
                    })

            let! all = [ 0 .. fleet.Shape.Sites - 1 ] |> List.map hashes |> Task.WhenAll

            match all |> Seq.choose id |> Seq.concat |> Seq.distinct |> List.ofSeq with
            | []
            | [ _ ] -> ()
            | several ->
                journal.Finds $"the nodes of all sites have {several.Length} different contents or histories at revision {revision}"
    }

/// What the leader site's first node holds is what its history makes of the table.
let content (direct: Direct) (journal: Journal) (expected: State) =
    task {
        let! found =
            until journal "a dump of the table" (fun () ->
                task {
                    let! dump = (direct.To { Site = 0; Node = 0 }).Dump()
                    return Some dump
                })

        match found with
        | Some dump when dump.Revision = expected.Revision ->
            let wanted =
                [ for KeyValue(key, entry) in expected.Entries ->
                      Client.text key,
                      { Value = Client.text entry.Value
                        Created = entry.CreateRevision
                        Modified = entry.ModRevision
                        Version = entry.Version } ]

            if Map.toList dump.Keys <> wanted then
                journal.Finds
                    $"at revision {dump.Revision} the table holds {dump.Keys.Count} keys that are not the {wanted.Length} that its history leaves"
        | Some dump -> journal.Finds $"the table went on from revision {expected.Revision} to {dump.Revision} though nobody wrote"
        | None -> ()
    }

/// All nodes of all sites have the same tables, each with one history, also those that came and went while everything went wrong.
let tables (fleet: Fleet) (direct: Direct) (journal: Journal) =
    task {
        let listed (place: Place) =
            task {
                let! status = (direct.To place).Status()

                return
                    [ for KeyValue(name, table) in status.Tables -> name, table.Revision, table.ChainHash ]
                    |> List.sortBy (fun (name, _, _) -> name)
            }

        let! _ =
            until journal "the same tables with the same histories on all nodes" (fun () ->
                task {
                    let! all = fleet.Shape.All |> List.map listed |> Task.WhenAll
                    return if (Array.distinct all).Length = 1 then Some() else None
                })

        ()
    }
