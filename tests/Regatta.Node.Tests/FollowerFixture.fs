namespace Regatta.Node.Tests

open System
open System.Collections.Generic
open System.IO
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Node
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Storage

/// A way from a follower site to a leader site's port that can be closed, opened again, and cut after some bytes: a relay on loopback.
type Relay() =
    let listener = new TcpListener(IPAddress.Loopback, 0)
    let stop = new CancellationTokenSource()
    let gate = obj ()
    let open' = HashSet<TcpClient>()
    let mutable target: ListenAddress option = None
    let mutable cutAfter: (unit -> int) option = None

    let close (client: TcpClient) =
        lock gate (fun () -> open'.Remove client |> ignore)
        client.Dispose()

    /// One direction, until it ends, or the bytes that it may carry are used up.
    let copy (from: TcpClient) (into: TcpClient) (allowance: int) =
        task {
            let buffer = Array.zeroCreate 4096
            let mutable left = allowance
            let mutable going = true

            try
                while going do
                    let! count = from.GetStream().ReadAsync(Memory buffer, stop.Token)
                    let count = min count left
                    left <- left - count
                    going <- count > 0 && left > 0
                    do! into.GetStream().WriteAsync(ReadOnlyMemory(buffer, 0, count), stop.Token)
            with
            | :? IOException
            | :? InvalidOperationException
            | :? OperationCanceledException -> ()

            close from
            close into
        }

    let serve (client: TcpClient) =
        task {
            match target with
            | None -> client.Dispose()
            | Some address ->
                let onwards = new TcpClient(NoDelay = true)
                client.NoDelay <- true

                lock gate (fun () ->
                    open'.Add client |> ignore
                    open'.Add onwards |> ignore)

                try
                    do! onwards.ConnectAsync(address.EndPoint, stop.Token)
                    let allowance = cutAfter |> Option.map (fun draw -> draw ()) |> Option.defaultValue Int32.MaxValue
                    let! _ = Task.WhenAll [| copy client onwards Int32.MaxValue; copy onwards client allowance |]
                    ()
                with
                | :? SocketException
                | :? ObjectDisposedException
                | :? OperationCanceledException ->
                    close client
                    close onwards
        }

    let accepting =
        listener.Start()

        task {
            try
                while true do
                    let! client = listener.AcceptTcpClientAsync stop.Token
                    serve client |> ignore
            with
            | :? OperationCanceledException
            | :? SocketException
            | :? ObjectDisposedException -> ()
        }

    member _.Address = $"http://127.0.0.1:{(listener.LocalEndpoint :?> IPEndPoint).Port}"

    /// Connections that are there stay.
    member _.LeadTo(address: ListenAddress | null) = target <- Option.ofObj address

    /// Each connection made from now on is cut when it has carried so many bytes to the follower.
    member _.CutAfter(draw: (unit -> int) option) = cutAfter <- draw

    /// Breaks all connections.
    member _.Break() =
        for client in lock gate (fun () -> List.ofSeq open') do
            close client

    /// Nobody gets through until LeadTo.
    member relay.Close() =
        target <- None
        relay.Break()

    interface IAsyncDisposable with
        member relay.DisposeAsync() =
            ValueTask(
                task {
                    do! stop.CancelAsync()
                    listener.Stop()
                    relay.Break()
                    do! accepting
                    stop.Dispose()
                }
            )

module Followers =
    let start (directory: string) (leader: string) (settings: (string * string) list) =
        let settings = [ "replication.leader-address", leader ] @ settings

        Nodes.startAs NodeRole.Follower ignore directory settings

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
            relay.LeadTo leader.Node.ReplicationAddress
            use! follower = start away.Path relay.Address []
            do! body leader relay follower
        }
