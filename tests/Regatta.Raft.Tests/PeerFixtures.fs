module Regatta.Raft.Tests.PeerFixtures

open System
open System.Buffers
open System.Collections.Concurrent
open System.Collections.Generic
open System.IO
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks
open Microsoft.Extensions.Logging
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures

/// A log that remembers warnings, and lets a test wait for one.
type Journal() =
    let warnings = ConcurrentQueue<string>()
    let mutable added = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    member _.Warnings = List.ofSeq warnings
    member journal.About(text: string) = journal.Warnings |> List.filter _.Contains(text)

    /// Completes when a warning with this text is there.
    member journal.Has(text: string) =
        task {
            let mutable next = Volatile.Read(&added).Task

            while List.isEmpty (journal.About text) do
                do! soon next
                next <- Volatile.Read(&added).Task
        }

    member private _.Add(line: string) =
        warnings.Enqueue line
        Interlocked.Exchange(&added, TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult()

    interface ILoggerFactory with
        member _.AddProvider _ = ()
        member _.Dispose() = ()

        member journal.CreateLogger(category: string) =
            { new ILogger with
                member _.BeginScope _ = null
                member _.IsEnabled level = level >= LogLevel.Warning && category = string typeof<PeerNetwork>.FullName

                member logger.Log(level, _, state, cause, format) = if logger.IsEnabled level then journal.Add(format.Invoke(state, cause)) }

let handler (serve: int64 -> PeerMethod -> byte array -> CancellationToken -> Task<byte array>) =
    { new IPeerHandler with
        member _.HandleAsync(_, group, method, request, token) =
            ValueTask<ReadOnlyMemory<byte>>(
                task {
                    let! reply = serve group method (request.ToArray()) token
                    return ReadOnlyMemory reply
                }
            ) }

let echo = handler (fun _ _ request _ -> Task.FromResult request)

/// Answers calls of one group only; the others end when their connection does.
let silentExcept (answered: int64) =
    handler (fun group _ request token ->
        task {
            if group <> answered then do! Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token)

            return request
        })

/// What the nodes of a test may differ in.
[<NoComparison; NoEquality>]
type Setting =
    { Name: int64 -> string
      History: int64 -> Guid option
      Members: int64 -> int64 list
      GroupBytes: int
      MessageBytes: int
      Time: TimeProvider }

let usual ids =
    { Name = fun _ -> "north"
      History = fun _ -> None
      Members = fun _ -> ids
      GroupBytes = 8 <<< 20
      MessageBytes = 16 <<< 20
      Time = TimeProvider.System }

/// Where the clock is the machine's, a stall of the machine must not look like a dead peer.
let private deadlines (time: TimeProvider) =
    if time = TimeProvider.System then patience, 5. * patience else TimeSpan.FromSeconds 5., TimeSpan.FromSeconds 5.

let storeOf (id: int64) = Guid(int id, 0s, 0s, Array.zeroCreate 8)

/// The nodes of a site in this process, on ports that the system chooses.
type Site(setting: Setting) =
    let addresses = ConcurrentDictionary<int64, EndPoint>()
    let nodes = ConcurrentDictionary<int64, PeerNetwork>()
    let attempts = new SemaphoreSlim 0
    new(ids: int64 list) = new Site(usual ids)
    member _.Addresses = addresses

    /// Completes when nodes have dialled as often since the last time.
    member _.Attempts(count: int) =
        task {
            for _ in 1..count do
                do! soon (attempts.WaitAsync())
        }

    member _.Node(id: int64) = nodes[id]

    member _.Options(id: int64) =
        let handshake, silence = deadlines setting.Time

        PeerNetworkOptions(
            NodeId = id,
            Members = Dictionary(dict [ for id in setting.Members id -> id, $"node-%d{id}:1" ]),
            ListenAddress = "127.0.0.1:0",
            SiteName = setting.Name id,
            StoreId = storeOf id,
            History = (fun () -> Option.toNullable (setting.History id)),
            AddressOf =
                (fun id ->
                    attempts.Release() |> ignore
                    addresses[id]),
            GroupBytesInFlight = setting.GroupBytes,
            MaxMessageBytes = setting.MessageBytes,
            HandshakeTimeout = handshake,
            SilenceLimit = silence
        )

    member site.Start(id: int64, handler: IPeerHandler, journal: Journal) =
        task {
            let network = new PeerNetwork(site.Options id, handler, journal, setting.Time)
            do! network.StartAsync CancellationToken.None
            addresses[id] <- network.ListensAt
            nodes[id] <- network
            return network
        }

    member site.Start(id, handler) = site.Start(id, handler, new Journal())

    member _.Stop(id: int64) =
        task {
            match nodes.TryRemove id with
            | true, network -> do! soon (network.DisposeAsync().AsTask())
            | _ -> ()
        }

    interface IAsyncDisposable with
        member site.DisposeAsync() =
            ValueTask(
                task {
                    for id in List.ofSeq nodes.Keys do
                        do! site.Stop id
                }
                :> Task
            )

/// Completes when the network's view of its peers is as wanted.
let until (network: PeerNetwork) (isSo: unit -> bool) =
    task {
        let changed = new SemaphoreSlim 0
        let note = Action<PeerLink>(fun _ -> changed.Release() |> ignore)
        network.add_PeerChanged note

        while not (isSo ()) do
            let! inTime = changed.WaitAsync patience
            if not inTime then failwith "the peer did not change in time"

        network.remove_PeerChanged note
    }

let connected (network: PeerNetwork) (peer: int64) = until network (fun () -> network[peer].IsConnected)

let disconnected (network: PeerNetwork) (peer: int64) = until network (fun () -> not (network[peer].IsConnected))

/// Two nodes that are connected: node 1 with `first` as its handler, node 2 with `second`.
let pairOf (site: Site) (first: IPeerHandler) (second: IPeerHandler) =
    task {
        let! two = site.Start(2L, second)
        let! one = site.Start(1L, first)
        do! connected one 2L
        do! connected two 1L
        return one, two
    }

let callWith (network: PeerNetwork) (peer: int64) (group: int64) (request: byte array) (token: CancellationToken) =
    task {
        let! reply = network[peer].CallAsync(group, PeerMethod.Append, ReadOnlyMemory request, token)
        return reply.ToArray()
    }

let call network peer group request = callWith network peer group request CancellationToken.None

/// The exception with which a task ends.
let failure (work: Task) =
    task {
        try
            do! soon work
            return failwith "the call succeeded"
        with cause ->
            return cause
    }

let isSent (work: Task) =
    task {
        match! failure work with
        | :? PeerUnavailableException as e -> return e.WasSent
        | other -> return raise other
    }

let frame kind group (number: uint32) (body: byte array) =
    let writer = ArrayBufferWriter<byte>()
    Frame(body.Length, group, number, kind, false, PeerMethod.Append).Write(writer, ReadOnlySpan body)
    writer.WrittenSpan.ToArray()

/// Something that speaks on a node's port as it likes.
type Stranger(client: TcpClient) =
    let stream = client.GetStream()

    new(address: IPEndPoint) =
        let client = new TcpClient(NoDelay = true)
        client.Connect address
        new Stranger(client)

    /// Says that nothing more will come; goes on receiving.
    member _.Finish() = client.Client.Shutdown SocketShutdown.Send
    member _.Send(bytes: byte array) = soon (stream.WriteAsync(ReadOnlyMemory bytes).AsTask())

    /// The next frame: kind, group, call, body.
    member _.Receive() =
        task {
            let header = Array.zeroCreate<byte> Frame.HeaderBytes
            do! soon (stream.ReadExactlyAsync(Memory header).AsTask())
            let body = Array.zeroCreate<byte>(BitConverter.ToInt32(header, 0))
            do! soon (stream.ReadExactlyAsync(Memory body).AsTask())

            return
                LanguagePrimitives.EnumOfValue<byte, FrameKind>(header[16] &&& 0x7fuy),
                BitConverter.ToInt64(header, 4),
                BitConverter.ToUInt32(header, 12),
                body
        }

    /// Completes when the node has closed the connection, whatever it has sent before.
    member _.Ended() =
        task {
            let buffer = Array.zeroCreate<byte> 4096

            try
                let mutable count = 1

                while count > 0 do
                    let! read = stream.ReadAsync(Memory buffer).AsTask().WaitAsync patience
                    count <- read
            with :? IOException ->
                ()
        }

    member stranger.Greet(hello: Hello) = stranger.Send(frame FrameKind.Hello 0L 0u (hello.Encode()))

    /// The whole handshake, as node `me` that takes the other side for `you`.
    member stranger.Enter(me: int64, you: int64) =
        task {
            do! stranger.Greet(Hello("north", Nullable(), me, you, Guid.Empty))
            let! kind, _, _, _ = stranger.Receive()
            if kind <> FrameKind.Hello then failwithf "%A instead of a hello" kind
            do! stranger.Send(frame FrameKind.Accepted 0L 0u [||])
        }

    interface IDisposable with
        member _.Dispose() = client.Dispose()
