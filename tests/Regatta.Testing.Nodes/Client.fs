namespace Regatta.Testing.Nodes

open System
open System.Collections.Generic
open System.Collections.Immutable
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.Channels
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Protocol.Mvcc

/// A key as a table keeps it.
type Stored = { Value: string; Created: int64; Modified: int64; Version: int64 }

/// A table at one revision.
type TableState = { Revision: int64; Keys: Map<string, Stored> }

module TableState =
    let empty = { Revision = 0L; Keys = Map.empty }

module Channels =
    /// Connections to a node at a port of this machine, made as our own clients make theirs: those that a gRPC channel makes itself can hang for ever
    /// (docs/TRACK_RECORD.md).
    let to' (port: int) =
        new ChannelSet(
            ImmutableArray.Create(Uri $"http://127.0.0.1:{port}"),
            ChannelSettings(
                ConnectTimeout = TimeSpan.FromSeconds 2.0,
                PingDelay = TimeSpan.FromSeconds 30.0,
                PingTimeout = TimeSpan.FromSeconds 10.0,
                MaxReceiveBytes = Nullable(),
                Clock = TimeProvider.System
            )
        )

/// The plain generated client, with the few calls that the tests make. Keys and values are text. A write that outlives
/// `patience` is an unknown outcome.
type Client(port: int, table: string, patience: TimeSpan) =
    let channels = Channels.to' port
    let invoker = channels.Current.Invoker
    let kv = KV.KVClient invoker
    let name = ByteString.CopyFromUtf8 table
    let bytes (text: string) = ByteString.CopyFromUtf8 text
    let zero = ByteString.CopyFrom 0uy

    let options () = CallOptions(deadline = Nullable(DateTime.UtcNow + patience))

    let stored (pair: KeyValue) =
        pair.Key.ToStringUtf8(),
        { Value = pair.Value.ToStringUtf8()
          Created = pair.CreateRevision
          Modified = pair.ModRevision
          Version = pair.Version }

    /// Generous: no test counts on reaching it.
    new(port, table) = new Client(port, table, TimeSpan.FromSeconds 60.0)

    member _.Kv = kv
    member _.Tables = Tables.TablesClient invoker
    member _.Cluster = Cluster.ClusterClient invoker

    /// The revision of the write.
    member _.Put(key: string, value: string) =
        task {
            let! reply = kv.PutAsync(PutRequest(Table = name, Key = bytes key, Value = bytes value), options ()).ResponseAsync
            return int64 reply.Header.Revision
        }

    /// Several puts in one transaction; its revision.
    member _.PutAll(pairs: (string * string) list) =
        task {
            let request = TxnRequest(Table = name)

            for key, value in pairs do
                request.Success.Add(RequestOp(RequestPut = RequestOp.Types.Put(Key = bytes key, Value = bytes value)))

            let! reply = kv.TxnAsync(request, options ()).ResponseAsync
            return int64 reply.Header.Revision
        }

    member _.Delete(key: string) =
        task {
            let! reply = kv.DeleteRangeAsync(DeleteRangeRequest(Table = name, Key = bytes key), options ()).ResponseAsync
            return int64 reply.Header.Revision
        }

    /// One key, and the revision at which it was so.
    member _.Get(key: string, linearizable: bool) =
        task {
            let! reply =
                kv.RangeAsync(RangeRequest(Table = name, Key = bytes key, Linearizable = linearizable), options ()).ResponseAsync

            return int64 reply.Header.Revision, reply.Kvs |> Seq.tryHead |> Option.map (stored >> snd)
        }

    /// The whole table through IterateRange, which must show one revision and ascending keys.
    member _.Dump() =
        task {
            use call = kv.IterateRange(RangeRequest(Table = name, Key = zero, RangeEnd = zero), options ())
            let keys = List<string * Stored>()
            let revisions = HashSet<int64>()

            while! call.ResponseStream.MoveNext() do
                let page = call.ResponseStream.Current
                revisions.Add(int64 page.Header.Revision) |> ignore
                keys.AddRange(Seq.map stored page.Kvs)

            if revisions.Count <> 1 then failwith $"a dump showed {revisions.Count} revisions instead of one"

            if keys |> Seq.pairwise |> Seq.exists (fun ((a, _), (b, _)) -> String.CompareOrdinal(a, b) >= 0) then
                failwith "a dump's keys do not ascend"

            return { Revision = Seq.head revisions; Keys = Map.ofSeq keys }
        }

    /// What all nodes of the site hold, at the newest revision.
    member _.Hashes() = Site.SiteClient(invoker).TableHashAsync(TableHashRequest(Table = name), options ()).ResponseAsync

    /// The same of a revision.
    member _.HashesAt(revision: int64) =
        Site.SiteClient(invoker).TableHashAsync(TableHashRequest(Table = name, Revision = uint64 revision), options ()).ResponseAsync

    /// Until the node has the table at that revision.
    member _.Await(revision: int64) =
        task {
            let mutable there = false

            while not there do
                try
                    let! _ = kv.RangeAsync(RangeRequest(Table = name, Key = zero, MinRevision = uint64 revision), options ()).ResponseAsync
                    there <- true
                with :? RpcException as e when e.StatusCode = StatusCode.NotFound ->
                    // The table has not come yet.
                    do! System.Threading.Tasks.Task.Delay(TimeSpan.FromMilliseconds 20.0, TimeProvider.System)
        }

    /// Hands the leadership of the table over to a node, by its id.
    member _.MoveLeader(id: int) =
        Site.SiteClient(invoker).MoveLeaderAsync(MoveLeaderRequest(Table = name, NodeId = uint64 id), options ()).ResponseAsync

    /// At a follower site.
    member _.Adopt() = Site.SiteClient(invoker).AdoptAsync(AdoptRequest(Table = name), options ()).ResponseAsync

    /// How the table follows, whichever node pulls for it.
    member _.Following() =
        task {
            let! reply = Site.SiteClient(invoker).FollowingAsync(FollowingRequest(), options ())
            return reply.Tables |> Seq.find (fun row -> row.Name = table) |> _.Following
        }

    /// What the node says of itself and its tables.
    member client.Status() = client.Cluster.StatusAsync(StatusRequest(), options ()).ResponseAsync

    interface IDisposable with
        member _.Dispose() = channels.Dispose()
