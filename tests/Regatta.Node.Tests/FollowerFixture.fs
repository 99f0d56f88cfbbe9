namespace Regatta.Node.Tests

open System
open System.IO
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Node
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Storage
open Regatta.Testing

module Followers =
    let startLogging loggers (directory: string) (leader: string) (settings: (string * string) list) =
        let settings = [ "replication.leader-address", leader ] @ settings

        Nodes.startAs NodeRole.Follower loggers ignore directory settings

    let start directory leader settings = startLogging (new RecordingLoggers()) directory leader settings

    /// A node's data directory, while the node does not run.
    let copy (source: string) (destination: string) =
        for directory in Directory.EnumerateDirectories(source, "*", SearchOption.AllDirectories) do
            Directory.CreateDirectory(directory.Replace(source, destination)) |> ignore

        for file in Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories) do
            File.Copy(file, file.Replace(source, destination))

    let portOf (leader: RunningNode) = leader.Node.ReplicationAddress |> Option.ofObj |> Option.map _.Port

    /// The following of a table, or of the catalogue, as the node sees it.
    let following (node: RunningNode) (table: string) =
        task {
            let! reply = node.Clients.Site.FollowingAsync(FollowingRequest())
            Expect.isTrue reply.IsFollower "a follower site"
            return reply.Tables |> Seq.tryFind (fun row -> row.Name = table) |> Option.map _.Following
        }

    /// Asks until the answer is there. The test's own time limit ends a wait in vain.
    let rec until (ask: unit -> Task<'answer option>) : Task<'answer> =
        task {
            let mutable answer = None

            while Option.isNone answer do
                let! next = ask ()
                answer <- next
                // Asking costs the nodes something, too.
                if next.IsNone then do! Task.Delay(TimeSpan.FromMilliseconds 5.0, TimeProvider.System)

            return answer.Value
        }

    let untilState (node: RunningNode) table state =
        until (fun () ->
            task {
                let! row = following node table
                return row |> Option.filter (fun following -> following.State = state)
            })

    /// Reads a key as soon as the follower has the table at that revision.
    let read (node: RunningNode) (table: string) (key: string) (revision: uint64) =
        until (fun () ->
            task {
                try
                    let request = RangeRequest(Table = Bytes.text table, Key = Bytes.text key, MinRevision = revision)
                    let! reply = node.Clients.Kv.RangeAsync(request, deadline = Nullable(DateTime.UtcNow.AddSeconds 60.0))
                    return Some(reply.Kvs |> Seq.tryHead |> Option.map (fun pair -> pair.Value.ToStringUtf8()))
                with :? RpcException as e when e.StatusCode = StatusCode.NotFound ->
                    // The catalogue has not brought the table yet.
                    return None
            })

    /// Waits until the leader site has dropped the changes up to a revision, which is the work of a timer.
    let keepsFrom (leader: RunningNode) revision =
        until (fun () ->
            task {
                let! status = leader.Clients.Cluster.StatusAsync(StatusRequest())
                return if status.Tables["t"].OldestRevision > revision then Some() else None
            })

    let hash (node: RunningNode) (table: string) =
        task {
            let! reply = node.Clients.Site.TableHashAsync(TableHashRequest(Table = Bytes.text table))
            let only = Seq.exactlyOne reply.Nodes
            return only.Revision, Convert.ToHexStringLower only.Hash.Span, Convert.ToHexStringLower only.ChainHash.Span
        }

    /// A leader site of one node with the table `t`, a follower site of one, and the way between them.
    let using (leaderSettings: (string * string) list) (body: RunningNode -> Relay -> RunningNode -> Task<unit>) =
        task {
            use home = new Scratch()
            use away = new Scratch()
            use relay = new Relay()
            use! leader = Nodes.start home.Path ([ "tables.names", "t" ] @ leaderSettings)
            relay.LeadTo(portOf leader)
            use! follower = start away.Path relay.Address []
            do! body leader relay follower
        }
