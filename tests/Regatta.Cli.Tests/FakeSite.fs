/// A node that keeps its keys in memory and fails on demand: what the client and the commands do about failures cannot be seen with a healthy one.
module FakeSite

open System
open System.Collections.Generic
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Microsoft.AspNetCore.Builder
open Microsoft.AspNetCore.Hosting.Server
open Microsoft.AspNetCore.Hosting.Server.Features
open Microsoft.AspNetCore.Hosting
open Microsoft.AspNetCore.Server.Kestrel.Core
open Microsoft.Extensions.DependencyInjection
open Microsoft.Extensions.Logging
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext

let private byBytes =
    { new IComparer<byte array> with
        member _.Compare(a, b) = a.AsSpan().SequenceCompareTo(b.AsSpan()) }

/// What the node does before it serves a call: nothing, or throw. Called with the call's name and its first key.
type Fault = string -> byte array -> Task

type State() =
    let mutable revision = 0L
    member val Keys = SortedDictionary<byte array, KeyValue>(byBytes) with get
    member val Fault: Fault = (fun _ _ -> Task.CompletedTask) with get, set
    /// Names of the calls that arrived, in order.
    member val Calls = System.Collections.Concurrent.ConcurrentQueue<string>() with get
    /// The greatest number of puts that were under way at a time.
    member val Concurrency = 0 with get, set
    member val PageRows = 2 with get, set
    member val UnderWay = 0 with get, set
    /// What the last Range asked for.
    member val MaxStalenessMs = 0UL with get, set
    /// Of each answer to Range.
    member val Trailers: (string * string) list = [] with get, set
    /// What a watch brings: the events of each revision, from 1 on.
    member val Changes: WatchEvent list list = [] with get, set
    /// How a watch ends when it has brought all; null: it does not.
    member val Ends: WatchEnd | null = null with get, set
    /// What the nodes of the site answer to TableHash.
    member val Hashes: NodeHash list = [] with get, set
    /// What the site says of how it follows; null: it is the leader site.
    member val Following: FollowingResponse | null = null with get, set

    member state.Header =
        ResponseHeader(ShardId = 10001UL, ReplicaId = 1UL, Revision = uint64 revision, RaftTerm = 1UL, RaftLeaderId = 1UL)

    member state.Next() =
        revision <- revision + 1L
        revision

    member state.Enter(name: string, key: ByteString) =
        state.Calls.Enqueue name
        state.Fault name (key.ToByteArray())

    member state.Select(key: ByteString, rangeEnd: ByteString) =
        let first = key.ToByteArray()
        let last = rangeEnd.ToByteArray()
        let compare (a: byte array) (b: byte array) = a.AsSpan().SequenceCompareTo(b.AsSpan())

        [ for pair in state.Keys do
              let inside =
                  match last with
                  | [||] -> compare pair.Key first = 0
                  | [| 0uy |] -> compare pair.Key first >= 0
                  | _ -> compare pair.Key first >= 0 && compare pair.Key last < 0

              if inside then pair.Value ]

    member state.Put(key: ByteString, value: ByteString) =
        let revision = state.Next()

        let old =
            match state.Keys.TryGetValue(key.ToByteArray()) with
            | true, pair -> Some pair
            | _ -> None

        state.Keys[key.ToByteArray()] <-
            KeyValue(
                Key = key,
                Value = value,
                ModRevision = revision,
                CreateRevision = (old |> Option.map (fun pair -> pair.CreateRevision) |> Option.defaultValue revision),
                Version = (old |> Option.map (fun pair -> pair.Version) |> Option.defaultValue 0L) + 1L
            )

        old

let private checkTable (table: ByteString) =
    if table.ToStringUtf8() <> "default" then raise (RpcException(Status(StatusCode.NotFound, "table not found")))

let private shown keysOnly (pair: KeyValue) =
    let copy = pair.Clone()

    if keysOnly then copy.Value <- ByteString.Empty

    copy

type KvService(state: State) =
    inherit KV.KVBase()

    let range (request: RangeRequest) =
        checkTable request.Table
        let found = state.Select(request.Key, request.RangeEnd)
        let limited = if request.Limit > 0L then List.truncate (int request.Limit) found else found
        limited |> List.map (shown request.KeysOnly), limited.Length < found.Length

    override _.Range(request, context) =
        task {
            do! state.Enter("Range", request.Key)
            state.MaxStalenessMs <- request.MaxStalenessMs

            for name, value in state.Trailers do
                context.ResponseTrailers.Add(name, value)

            return
                lock state (fun () ->
                    let pairs, more = range request
                    let reply = RangeResponse(Header = state.Header, More = more, Count = int64 pairs.Length)

                    if not request.CountOnly then reply.Kvs.AddRange pairs

                    reply)
        }

    override _.IterateRange(request, stream, context) =
        task {
            do! state.Enter("IterateRange", request.Key)

            let pages =
                lock state (fun () ->
                    let pairs, more = range request
                    let chunks = if pairs.IsEmpty then [ [] ] else List.chunkBySize state.PageRows pairs

                    [ for i in 0 .. chunks.Length - 1 do
                          let page =
                              RangeResponse(Header = state.Header, More = (more || i < chunks.Length - 1), Count = int64 chunks[i].Length)

                          page.Kvs.AddRange chunks[i]
                          page ])

            for page in pages do
                do! state.Enter("Page", (if page.Kvs.Count > 0 then page.Kvs[0].Key else ByteString.Empty))
                do! stream.WriteAsync(page, context.CancellationToken)
        }

    /// One watch, of all keys, an event in each message. Breaks as the fault says.
    override _.Watch(requests, stream, context) =
        task {
            let! _ = requests.MoveNext context.CancellationToken
            let create = requests.Current.Create
            state.Calls.Enqueue $"Watch {create.StartRevision} {create.SkipEvents} {create.Incarnation}"
            let next = if create.StartRevision = 0UL then uint64 state.Changes.Length + 1UL else create.StartRevision

            do!
                stream.WriteAsync(
                    WatchResponse(
                        Header = ResponseHeader(Revision = next - 1UL),
                        WatchId = create.WatchId,
                        Created = true,
                        HistoryId = ByteString.CopyFrom(Array.create 16 1uy),
                        Incarnation = 7UL
                    )
                )

            for index in int next - 1 .. state.Changes.Length - 1 do
                let changes = state.Changes[index]
                let skipped = if index = int next - 1 then int create.SkipEvents else 0

                for at in skipped .. changes.Length - 1 do
                    do! state.Enter("Event", changes[at].Kv.Key)

                    let message =
                        WatchResponse(
                            Header = ResponseHeader(Revision = uint64 index + 1UL),
                            WatchId = create.WatchId,
                            More = (at < changes.Length - 1)
                        )

                    message.Events.Add changes[at]
                    do! stream.WriteAsync message

            if not (isNull state.Ends) then do! stream.WriteAsync(WatchResponse(WatchId = create.WatchId, End = state.Ends))

            do! Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.CancellationToken)
        }

    override _.Put(request, _) =
        task {
            checkTable request.Table

            lock state (fun () ->
                state.UnderWay <- state.UnderWay + 1
                state.Concurrency <- max state.Concurrency state.UnderWay)

            try
                do! state.Enter("Put", request.Key)

                return
                    lock state (fun () ->
                        let old = state.Put(request.Key, request.Value)
                        let reply = PutResponse(Header = state.Header)

                        if request.PrevKv then old |> Option.iter (fun pair -> reply.PrevKv <- pair)

                        reply)
            finally
                lock state (fun () -> state.UnderWay <- state.UnderWay - 1)
        }

    override _.DeleteRange(request, _) =
        task {
            checkTable request.Table
            do! state.Enter("DeleteRange", request.Key)

            return
                lock state (fun () ->
                    let pairs = state.Select(request.Key, request.RangeEnd)
                    state.Next() |> ignore

                    for pair in pairs do
                        state.Keys.Remove(pair.Key.ToByteArray()) |> ignore

                    let reply = DeleteRangeResponse(Header = state.Header)

                    if request.Count || request.PrevKv then reply.Deleted <- int64 pairs.Length

                    if request.PrevKv then reply.PrevKvs.AddRange pairs

                    reply)
        }

type TablesService(state: State) =
    inherit Tables.TablesBase()

    override _.Create(request, context) =
        task {
            do! state.Enter("Create " + request.Name + " " + context.RequestHeaders.GetValue "authorization", ByteString.Empty)
            return CreateTableResponse(Id = "10002")
        }

    override _.Delete(request, _) =
        task {
            do! state.Enter("Delete " + request.Name, ByteString.Empty)
            return DeleteTableResponse()
        }

    override _.List(_, _) =
        task {
            let reply = ListTablesResponse()
            reply.Tables.Add(TableInfo(Name = "default", Id = "10001"))
            reply.Tables.Add(TableInfo(Name = "policies", Id = "10002"))
            return reply
        }

type ClusterService() =
    inherit Cluster.ClusterBase()

    override _.MemberList(_, _) =
        let reply = MemberListResponse(Cluster = "home")
        let mutable node = Member(Id = "1", Name = "node-1")
        node.ClientURLs.Add "http://127.0.0.1:8443"
        node.PeerURLs.Add "127.0.0.1:8445"
        reply.Members.Add node
        Task.FromResult reply

    override _.Status(request, _) =
        let reply = StatusResponse(Id = "1", Version = "0.1.0")

        reply.Tables["default"] <-
            TableStatus(
                Leader = "1",
                RaftTerm = 3UL,
                Revision = 7UL,
                FirstLogIndex = 4UL,
                LastLogIndex = 13UL,
                RaftIndex = 12UL,
                RaftAppliedIndex = 11UL,
                DurableIndex = 9UL,
                LogSize = 4096L,
                DbSize = 1234567L
            )

        if request.Config then
            reply.Config <- WellKnownTypes.Struct()
            reply.Config.Fields["raft.node-id"] <- WellKnownTypes.Value.ForString "1"
        else
            reply.Errors.Add "table broken: its log has a hole"

        Task.FromResult reply

type SiteService(state: State) =
    inherit Site.SiteBase()

    override _.MoveLeader(request, _) =
        task {
            checkTable request.Table
            do! state.Enter($"MoveLeader {request.NodeId}", ByteString.Empty)
            return MoveLeaderResponse(Header = state.Header, Leader = request.NodeId)
        }

    override _.Adopt(request, _) =
        task {
            checkTable request.Table
            do! state.Enter("Adopt", ByteString.Empty)
            return AdoptResponse(Header = ResponseHeader(Revision = 7UL))
        }

    override _.TableHash(request, _) =
        task {
            checkTable request.Table
            do! state.Enter($"TableHash {request.Revision}", ByteString.Empty)
            let reply = TableHashResponse(Header = ResponseHeader(Revision = 7UL))
            reply.Nodes.AddRange state.Hashes
            return reply
        }

    override _.Following(_, _) =
        task {
            do! state.Enter("Following", ByteString.Empty)

            return
                match state.Following with
                | null -> FollowingResponse()
                | following -> following
        }

[<NoEquality; NoComparison>]
type Site =
    { State: State
      Endpoint: string
      Stop: unit -> Task }

    interface IAsyncDisposable with
        member site.DisposeAsync() = ValueTask(site.Stop())

let start () =
    task {
        let state = State()
        let builder = WebApplication.CreateSlimBuilder()
        builder.Logging.ClearProviders() |> ignore

        builder.WebHost.ConfigureKestrel(fun kestrel ->
            kestrel.Listen(IPAddress.Loopback, 0, (fun listen -> listen.Protocols <- HttpProtocols.Http2)))
        |> ignore

        builder.Services.AddGrpc() |> ignore
        builder.Services.AddSingleton state |> ignore
        let app = builder.Build()
        app.MapGrpcService<KvService>() |> ignore
        app.MapGrpcService<TablesService>() |> ignore
        app.MapGrpcService<ClusterService>() |> ignore
        app.MapGrpcService<SiteService>() |> ignore
        do! app.StartAsync()
        let bound = nonNull (app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>())
        let address = Seq.head bound.Addresses

        return
            { State = state
              Endpoint = address.Replace("http://", "")
              Stop = fun () -> app.DisposeAsync().AsTask() }
    }

/// An address where connections are refused for as long as it is held.
type Nobody() =
    let socket = new Socket(SocketType.Stream, ProtocolType.Tcp)
    do socket.Bind(IPEndPoint(IPAddress.Loopback, 0))
    member _.Endpoint = string socket.LocalEndPoint

    interface IDisposable with
        member _.Dispose() = socket.Dispose()

let refuseWith code detail : Task = Task.FromException(RpcException(Status(code, detail)))

/// Of a key like k12.
let numberOf key = int (Bytes.toText key).[1..]

/// Interrupts when the key of this number arrives, and answers none behind it before.
let interruptAt number (interrupt: CancellationTokenSource) : Fault =
    let came = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

    fun _ key ->
        if numberOf key = number then
            interrupt.Cancel()
            came.TrySetResult() |> ignore

        if numberOf key > number then came.Task else Task.CompletedTask
