namespace Regatta.Node.Tests

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.IO
open System.Net.Http
open System.Threading
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Grpc.Health.V1
open Grpc.Net.Client
open Microsoft.Extensions.Logging
open Regatta.Node
open Regatta.Protocol.Compression
open Regatta.Protocol.Replication
open Regatta.Protocol.V1
open Regatta.Storage

/// What a node has logged.
type Logged = { Level: LogLevel; Category: string; Message: string }

type RecordingLoggers() =
    let entries = ConcurrentQueue<Logged>()
    member _.Entries = entries.ToArray()

    member _.AtLeast(level: LogLevel) = entries.ToArray() |> Array.filter (fun entry -> entry.Level >= level)

    interface ILoggerFactory with
        member _.AddProvider _ = ()
        member _.Dispose() = ()

        member _.CreateLogger category =
            { new ILogger with
                member _.BeginScope _ = null
                member _.IsEnabled _ = true

                member _.Log(level, _, state, error, formatter) =
                    let text = formatter.Invoke(state, error)

                    entries.Enqueue
                        { Level = level
                          Category = category
                          Message = if isNull error then text else $"{text} {error}" } }

/// A data directory that goes away with the test.
type Scratch() =
    let path = Path.Combine(Path.GetTempPath(), "regatta-node-" + Guid.NewGuid().ToString "N")
    member _.Path = path

    interface IDisposable with
        member _.Dispose() = if Directory.Exists path then Directory.Delete(path, true)

/// Clients of one node.
type Clients(node: RegattaNode) =
    let channelTo (address: ListenAddress) =
        GrpcChannel.ForAddress(
            address.ToString(),
            GrpcChannelOptions(
                HttpHandler = new SocketsHttpHandler(UseProxy = false, EnableMultipleHttp2Connections = true),
                DisposeHttpClient = true,
                MaxReceiveMessageSize = 64 * 1024 * 1024,
                MaxSendMessageSize = 64 * 1024 * 1024,
                CompressionProviders = List<_>(MessageEncodings.All)
            )
        )

    let channel = channelTo node.ApiAddress

    /// Of the follower sites' port.
    let replication =
        lazy
            (match node.ReplicationAddress with
             | null -> failwith "replication is not enabled"
             | address -> channelTo address)

    member _.Invoker = channel.CreateCallInvoker()
    member _.Kv = KV.KVClient channel
    member _.Tables = Tables.TablesClient channel
    member _.Cluster = Cluster.ClusterClient channel
    member _.Site = Regatta.Protocol.V1Ext.Site.SiteClient channel
    member _.Health = Health.HealthClient channel
    member _.Log = Log.LogClient replication.Value
    member _.Snapshot = Snapshot.SnapshotClient replication.Value
    member _.Metadata = Metadata.MetadataClient replication.Value
    member _.ReplicationKv = KV.KVClient replication.Value

    interface IDisposable with
        member _.Dispose() =
            channel.Dispose()
            if replication.IsValueCreated then replication.Value.Dispose()

module Bytes =
    let text (value: string) = ByteString.CopyFromUtf8 value
    let zero = ByteString.CopyFrom 0uy
    let ofLength (length: int) = UnsafeByteOperations.UnsafeWrap(ReadOnlyMemory<byte>(Array.create length 120uy))

/// A node in this process with its clients.
type RunningNode(node: RegattaNode, host: FaultyHost, loggers: RecordingLoggers) =
    let clients = new Clients(node)
    member _.Node = node
    member _.Host = host
    member _.Loggers = loggers
    member _.Clients = clients

    member _.Create(table: string) =
        task {
            let! reply = clients.Tables.CreateAsync(CreateTableRequest(Name = table))
            return Int64.Parse reply.Id
        }

    member _.Put(table: string, key: string, value: string) =
        task {
            let request = PutRequest(Table = Bytes.text table, Key = Bytes.text key, Value = Bytes.text value)
            let! reply = clients.Kv.PutAsync request
            return reply.Header.Revision
        }

    member _.Get(table: string, key: string) =
        task {
            let! reply = clients.Kv.RangeAsync(RangeRequest(Table = Bytes.text table, Key = Bytes.text key))
            return reply.Kvs |> Seq.tryHead |> Option.map (fun pair -> pair.Value.ToStringUtf8())
        }

    member _.Rest(path: string) =
        task {
            use client = new HttpClient(new SocketsHttpHandler(UseProxy = false))
            use! reply = client.GetAsync($"{node.RestAddress}{path}")
            let! body = reply.Content.ReadAsStringAsync()
            return int reply.StatusCode, body
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    (clients :> IDisposable).Dispose()
                    do! node.StopAsync()
                }
            )

module Nodes =
    let outcomeAs role (settings: (string * string) list) =
        OptionCatalog.Apply(NodeOptions(Role = role), settings |> List.map (fun (name, text) -> KeyValuePair(name, text)))

    let outcome settings = outcomeAs NodeRole.Leader settings

    let defaults (directory: string) =
        [ "data-dir", directory
          "api.address", "http://127.0.0.1:0"
          "rest.address", "http://127.0.0.1:0"
          "replication.address", "http://127.0.0.1:0"
          "disk.low-water-bytes", "0" ]

    /// Defaults, with ports chosen by the system.
    let optionsAs role (directory: string) (settings: (string * string) list) =
        let outcome = outcomeAs role (defaults directory @ settings)

        match outcome.Options with
        | null -> failwith (String.Join("; ", outcome.Errors))
        | options -> options

    let options directory settings = optionsAs NodeRole.Leader directory settings

    let startAs role loggers (prepare: FaultyHost -> unit) (directory: string) (settings: (string * string) list) =
        task {
            let mutable host = None

            let opening =
                OpenGroups(fun directory options progress loggers time token ->
                    task {
                        let! inner = GroupHosting.OpenAsync(directory, options, progress, loggers, time, token)
                        let faulty = FaultyHost inner
                        prepare faulty
                        host <- Some faulty
                        return faulty :> Regatta.Raft.IGroupHost
                    })

            let! node =
                RegattaNode.StartAsync(optionsAs role directory settings, opening, loggers, TimeProvider.System, CancellationToken.None)

            return new RunningNode(node, host.Value, loggers)
        }

    let startWith prepare directory settings = startAs NodeRole.Leader (new RecordingLoggers()) prepare directory settings
    let start (directory: string) (settings: (string * string) list) = startWith ignore directory settings

    /// A node of its own for one test.
    let using (settings: (string * string) list) (body: RunningNode -> Task<unit>) =
        task {
            use scratch = new Scratch()
            use! node = start scratch.Path settings
            do! body node
        }

    /// The test's time limit: a hang must become a failure, and nothing that works comes near it.
    let patience = TimeSpan.FromSeconds 60.0

    let test (name: string) (body: unit -> Task<unit>) = Expecto.Tests.testAsync name { do! Async.AwaitTask(body().WaitAsync(patience)) }

module Status =
    /// The status that a call ends with; OK if it ends well.
    let ofCall (call: Task) =
        task {
            try
                do! call
                return Grpc.Core.Status.DefaultSuccess
            with :? RpcException as e ->
                return e.Status
        }
