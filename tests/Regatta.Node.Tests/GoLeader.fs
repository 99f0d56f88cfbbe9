namespace Regatta.Node.Tests

open System
open System.Collections.Generic
open System.Net
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Microsoft.AspNetCore.Builder
open Microsoft.AspNetCore.Hosting
open Microsoft.AspNetCore.Hosting.Server
open Microsoft.AspNetCore.Hosting.Server.Features
open Microsoft.AspNetCore.Server.Kestrel.Core
open Microsoft.Extensions.DependencyInjection
open Regatta.Protocol.Mvcc
open Regatta.Protocol.Replication
open Regatta.Protocol.V1

/// One table of a leader site of the Go project: its log, and what the log makes of it. Written from the description of that project alone, with nothing of our code but the messages.
type GoTable(id: uint64) =
    let gate = obj ()
    let log = SortedDictionary<uint64, Command>()
    let order = Comparer.Create(fun (a: byte array) b -> ReadOnlySpan(a).SequenceCompareTo(ReadOnlySpan b))
    let rows = SortedDictionary<byte array, byte array>(order)
    let mutable applied = 0UL
    let mutable first = 1UL
    let compare a b = order.Compare(a, b)

    /// `None`: the one key.
    let keysOf (key: byte array) (rangeEnd: byte array option) =
        let isMeant other =
            match rangeEnd with
            | None -> compare other key = 0
            | Some [| 0uy |] -> compare other key >= 0
            | Some rangeEnd -> compare other key >= 0 && compare other rangeEnd < 0

        rows.Keys |> Seq.filter isMeant |> Seq.toArray

    let unlessEmpty (rangeEnd: ByteString) = if rangeEnd.IsEmpty then None else Some(rangeEnd.ToByteArray())
    let put (pair: KeyValue) = rows[pair.Key.ToByteArray()] <- pair.Value.ToByteArray()

    let delete key rangeEnd =
        let gone = keysOf key rangeEnd

        for key in gone do
            rows.Remove key |> ignore

        gone.Length

    /// The stored value is on the left; what is not there fulfils nothing.
    let holds (condition: Compare) =
        let value key =
            let relation = compare rows[key] (condition.Value.ToByteArray())

            match condition.Result with
            | Compare.Types.CompareResult.Equal -> relation = 0
            | Compare.Types.CompareResult.Greater -> relation > 0
            | Compare.Types.CompareResult.Less -> relation < 0
            | _ -> relation <> 0

        let keys = keysOf (condition.Key.ToByteArray()) (unlessEmpty condition.RangeEnd)

        keys.Length > 0 && (condition.TargetUnionCase = Compare.TargetUnionOneofCase.None || Array.forall value keys)

    let perform (operation: RequestOp) =
        match operation.RequestCase with
        | RequestOp.RequestOneofCase.RequestPut ->
            put (KeyValue(Key = operation.RequestPut.Key, Value = operation.RequestPut.Value))
            ResponseOp(ResponsePut = ResponseOp.Types.Put())
        | RequestOp.RequestOneofCase.RequestDeleteRange ->
            let range = operation.RequestDeleteRange
            let count = delete (range.Key.ToByteArray()) (unlessEmpty range.RangeEnd)
            ResponseOp(ResponseDeleteRange = ResponseOp.Types.DeleteRange(Deleted = (if range.Count then int64 count else 0L)))
        | _ -> ResponseOp(ResponseRange = ResponseOp.Types.Range())

    /// How many keys it deleted, or which branch it took and what came of it.
    let execute (command: Command) =
        match command.Type with
        | Command.Types.CommandType.Put ->
            put command.Kv
            0, true, []
        | Command.Types.CommandType.Delete ->
            let rangeEnd = if command.HasRangeEnd then Some(command.RangeEnd.ToByteArray()) else None
            delete (command.Kv.Key.ToByteArray()) rangeEnd, true, []
        | Command.Types.CommandType.PutBatch ->
            command.Batch |> Seq.iter put
            0, true, []
        | Command.Types.CommandType.DeleteBatch -> command.Batch |> Seq.sumBy (fun pair -> delete (pair.Key.ToByteArray()) None), true, []
        | Command.Types.CommandType.Txn ->
            let succeeded = command.Txn.Compare |> Seq.forall holds
            let branch = if succeeded then command.Txn.Success else command.Txn.Failure
            0, succeeded, [ for operation in branch -> perform operation ]
        | _ -> 0, true, []

    member _.Id = id
    member _.Applied = lock gate (fun () -> applied)
    member _.Rows = lock gate (fun () -> [ for pair in rows -> Convert.ToHexString pair.Key, Convert.ToHexString pair.Value ])

    /// Puts a command into the log and executes it.
    member _.Append(command: Command) =
        lock gate (fun () ->
            applied <- applied + 1UL
            command.LeaderIndex <- applied
            log[applied] <- command
            let outcome = execute command
            applied, outcome)

    /// Numbers that are never sent.
    member _.Skip(count: int) = lock gate (fun () -> applied <- applied + uint64 count)

    /// The first number that can still be had.
    member _.First
        with get () = lock gate (fun () -> first)
        and set value = lock gate (fun () -> first <- value)

    member _.Entries(wanted: uint64, last: uint64) =
        lock gate (fun () ->
            [ for entry in log do
                  if entry.Key >= wanted && entry.Key <= last then entry ])

/// How a stream goes on behind a message.
type Onwards =
    | Goes
    /// Ends as if it were done, without the message that says so.
    | Stops
    /// Ends with a status of the network.
    | Breaks

/// What a leader site of the Go project has, and how it behaves.
type GoState() =
    let tables = SortedDictionary<string, GoTable>(StringComparer.Ordinal)
    let mutable lastId = 10_000UL
    member val Behind = false with get, set
    member val Onwards: unit -> Onwards = (fun () -> Goes) with get, set
    member val PerMessage = 3 with get, set
    /// What a write is answered with although it was done.
    member val WriteStatus: Status option = None with get, set
    /// Streams wait for it before they carry anything.
    member val Gate: Task = Task.CompletedTask with get, set
    /// What only leader sites of ours tell; empty: nothing.
    member val History = ByteString.Empty with get, set

    member _.Add(name: string) =
        lock tables (fun () ->
            lastId <- lastId + 1UL
            let table = GoTable lastId
            tables[name] <- table
            table)

    member _.Remove(name: string) = lock tables (fun () -> tables.Remove name |> ignore)
    member _.Put(name: string, table: GoTable) = lock tables (fun () -> tables[name] <- table)
    member _.Names = lock tables (fun () -> List.ofSeq tables.Keys)

    member _.Find(name: ByteString) =
        match lock tables (fun () -> tables.TryGetValue(name.ToStringUtf8())) with
        | true, table -> table
        | _ -> raise (RpcException(Status(StatusCode.NotFound, "table not found")))

type GoMetadata(state: GoState) =
    inherit Metadata.MetadataBase()

    override _.Get(_, _) =
        let reply = MetadataResponse(HistoryId = state.History)
        reply.Tables.AddRange(state.Names |> Seq.map (fun name -> Table(Name = name, Type = Table.Types.Type.Replicated)))
        Task.FromResult reply

type GoLog(state: GoState) =
    inherit Log.LogBase()

    override _.Replicate(request, responses, context) =
        task {
            if request.LeaderIndex = 0UL then
                let sentence = "invalid leaderIndex: leaderIndex must be greater than 0"
                raise (RpcException(Status(StatusCode.InvalidArgument, sentence)))

            do! state.Gate.WaitAsync context.CancellationToken
            let table = state.Find request.Table
            let applied = table.Applied

            let refuse error =
                responses.WriteAsync(ReplicateResponse(ErrorResponse = ReplicateErrResponse(Error = error), LeaderIndex = applied))

            if state.Behind || applied + 1UL < request.LeaderIndex then
                do! refuse ReplicateError.LeaderBehind
            elif request.LeaderIndex < table.First then
                do! refuse ReplicateError.UseSnapshot
            else
                let mutable onwards = Goes

                for batch in table.Entries(request.LeaderIndex, applied) |> List.chunkBySize state.PerMessage do
                    if onwards = Goes then
                        let commands = ReplicateCommandsResponse()

                        for entry in batch do
                            commands.Commands.Add(ReplicateCommand(LeaderIndex = entry.Key, Command = entry.Value))

                        do! responses.WriteAsync(ReplicateResponse(CommandsResponse = commands, LeaderIndex = applied))
                        onwards <- state.Onwards()

                match onwards with
                | Goes -> do! responses.WriteAsync(ReplicateResponse(LeaderIndex = table.Applied))
                | Stops -> ()
                | Breaks -> raise (RpcException(Status(StatusCode.Unavailable, "transport is closing")))
        }

type GoKv(state: GoState) =
    inherit KV.KVBase()

    let write (name: ByteString) (command: Command) =
        if name.IsEmpty then raise (RpcException(Status(StatusCode.InvalidArgument, "table must be set")))
        let table = state.Find name
        command.Table <- name
        let revision, outcome = table.Append command
        state.WriteStatus |> Option.iter (fun status -> raise (RpcException status))
        ResponseHeader(ShardId = table.Id, ReplicaId = 7UL, Revision = revision, RaftTerm = 3UL, RaftLeaderId = 7UL), outcome

    override _.Put(request, _) =
        let pair = KeyValue(Key = request.Key, Value = request.Value)
        let header, _ = write request.Table (Command(Type = Command.Types.CommandType.Put, Kv = pair))
        Task.FromResult(PutResponse(Header = header))

    override _.DeleteRange(request, _) =
        let command = Command(Type = Command.Types.CommandType.Delete, Kv = KeyValue(Key = request.Key))
        if not request.RangeEnd.IsEmpty then command.RangeEnd <- request.RangeEnd
        let header, (deleted, _, _) = write request.Table command
        Task.FromResult(DeleteRangeResponse(Header = header, Deleted = (if request.Count then int64 deleted else 0L)))

    override _.Txn(request, _) =
        let txn = Txn()
        txn.Compare.AddRange request.Compare
        txn.Success.AddRange request.Success
        txn.Failure.AddRange request.Failure
        let header, (_, succeeded, responses) = write request.Table (Command(Type = Command.Types.CommandType.Txn, Txn = txn))
        // Its state machine forgets the number of a transaction that had nothing to do.
        if responses.IsEmpty then header.Revision <- 0UL
        let reply = TxnResponse(Header = header, Succeeded = succeeded)
        reply.Responses.AddRange responses
        Task.FromResult reply

/// A leader site of the Go project on a port of its own, as far as follower sites see it.
type GoLeader private (state: GoState, application: WebApplication) =
    member _.State = state

    member _.Port =
        let addresses = application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()
        Uri(Seq.head (nonNull addresses).Addresses).Port

    static member Start() =
        task {
            let state = GoState()
            let builder = WebApplication.CreateEmptyBuilder(WebApplicationOptions())

            builder.WebHost
                .UseKestrelCore()
                .ConfigureKestrel(fun kestrel ->
                    kestrel.Listen(IPEndPoint(IPAddress.Loopback, 0), fun listen -> listen.Protocols <- HttpProtocols.Http2))
            |> ignore

            builder.Services.AddRoutingCore() |> ignore
            builder.Services.AddGrpc() |> ignore
            builder.Services.AddSingleton(GoMetadata state).AddSingleton(GoLog state).AddSingleton(GoKv state) |> ignore
            let application = builder.Build()
            application.MapGrpcService<GoMetadata>() |> ignore
            application.MapGrpcService<GoLog>() |> ignore
            application.MapGrpcService<GoKv>() |> ignore
            do! application.StartAsync()
            return new GoLeader(state, application)
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() = application.DisposeAsync()
