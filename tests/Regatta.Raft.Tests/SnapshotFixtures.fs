module Regatta.Raft.Tests.SnapshotFixtures

open System
open System.Collections.Generic
open System.IO
open System.IO.Hashing
open System.Text
open System.Threading
open System.Threading.Tasks
open Microsoft.Extensions.Logging.Abstractions
open Microsoft.Extensions.Time.Testing
open Regatta.Core
open Regatta.Raft
open Regatta.Storage
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.NodeGroups

let group = 10001L

let incarnation = Incarnation(history, group)
let chunkBytes = 16 <<< 10
let inFlight = 4
let fetchOptions = SnapshotFetchOptions(ChunkBytes = chunkBytes, ReadsInFlight = inFlight)

/// Entries of puts with random keys and values, in Raft term 3.
let fill (store: TableStore) (random: Random) (entries: int) =
    let machine = TableMachine store

    for _ in 1..entries do
        let writer = EntryWriter()

        for _ in 1..50 do
            let key = Encoding.UTF8.GetBytes $"key{random.Next 100_000:D6}"
            let value = Array.zeroCreate<byte>(random.Next 300)
            random.NextBytes value
            writer.Append(PutCommand(ReadOnlyMemory key, ReadOnlyMemory value, false))

        machine.Apply(ReadOnlySpan [| CommittedEntry(store.Applied.Index + 1L, 3L, writer.ToPayload(), null) |])

/// All that a table holds: how far it is, a hash of all records, one of the whole changelog.
[<NoComparison>]
type Content = { Applied: AppliedState; Records: int; Data: UInt128; Changes: UInt128 }

let content (store: TableStore) =
    let data = XxHash128()
    let changes = XxHash128()
    let mutable records = 0
    use view = store.OpenView()
    use cursor = view.Scan(KeyRange.From(ReadOnlyMemory [||]))

    while cursor.MoveNext() do
        records <- records + 1
        data.Append cursor.Key
        data.Append cursor.Value
        data.Append(ReadOnlySpan(Encoding.UTF8.GetBytes(string cursor.Header)))

    let rec log (reader: ChangelogReader) =
        match reader.Read(1 <<< 20) with
        | :? ChangelogRead.Records as read ->
            for item in read.Items do
                changes.Append(ReadOnlySpan(BitConverter.GetBytes item.Revision))
                changes.Append item.Record.Span

            log reader
        | _ -> ()

    log (ChangelogReader(store, 1L, true))

    { Applied = store.Applied
      Records = records
      Data = data.GetCurrentHashAsUInt128()
      Changes = changes.GetCurrentHashAsUInt128() }

/// As a crash of the process would leave it; a node's lock cannot be copied, and goes with the process anyhow.
let rec copyDirectory (source: string) (target: string) =
    Directory.CreateDirectory target |> ignore

    for path in Directory.GetFiles source |> Array.filter (fun path -> Path.GetFileName path <> "lock") do
        File.Copy(path, Path.Combine(target, nonNull (Path.GetFileName path)))

    for path in Directory.GetDirectories source do
        copyDirectory path (Path.Combine(target, nonNull (Path.GetFileName path)))

let flipByte (path: string) =
    let bytes = File.ReadAllBytes path
    bytes[bytes.Length / 2] <- bytes[bytes.Length / 2] ^^^ 1uy
    File.WriteAllBytes(path, bytes)

let environment () = new StorageEnvironment(StorageOptions.Default, TimeProvider.System)

/// What a directory holds, opened as a table elsewhere: opening changes files.
let contentOf (directory: string) =
    use copy = new TemporaryDirectory()
    copyDirectory directory (copy.Sub "table")
    use environment = environment ()
    use store = TableStore.Open(copy.Sub "table", incarnation, environment)
    store.Verify()
    content store

/// A node that has tables with some thousand keys on several files, and serves snapshots of them.
type ServingNode(seed: int, options: SnapshotSourceOptions) =
    let directory = new TemporaryDirectory()
    let environment = environment ()
    let time = FakeTimeProvider()
    let random = Random seed
    let store = TableStore.Open(directory.Sub "tables/10001", incarnation, environment)
    let contents = Dictionary<int64, Content>()
    let mutable checkpoints = 0

    let checkpoint (target: string) =
        store.Checkpoint target
        checkpoints <- checkpoints + 1
        contents[store.Applied.Index] <- content store

    // Groups 1 to 9 have the same table: what is limited per node does not look inside.
    let find (asked: int64) =
        if asked = group || asked < 10L then
            SnapshotOrigin(Action<string> checkpoint, (fun () -> store.Applied), (fun () -> 5L))
        else
            Unchecked.defaultof<_>

    let source = new SnapshotSource(directory.Sub "scratch", find, options, time, NullLogger<SnapshotSource>.Instance)

    do
        for _ in 1..6 do
            fill store random 10
            store.Flush()

    new(seed) = new ServingNode(seed, SnapshotSourceOptions())
    member _.Store = store
    member _.Source = source
    member _.Time = time
    member _.Checkpoints = checkpoints
    member _.Scratch = directory.Sub "scratch"

    /// Snapshots that are on disk.
    member node.OnDisk = if Directory.Exists node.Scratch then Directory.GetDirectories(node.Scratch).Length else 0

    /// What a snapshot at this index must hold.
    member _.ContentAt index = contents[index]

    member _.Write entries = fill store random entries

    /// All snapshots are removed, as when nobody read them for long.
    member _.Forget() =
        time.Advance(TimeSpan.FromMinutes 2.)
        source.SweepAsync()

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    do! source.DisposeAsync()
                    store.Dispose()
                    environment.Dispose()
                    (directory :> IDisposable).Dispose()
                }
                :> Task
            )

/// What the network does to a call.
type Fate =
    | Answered
    /// The request is lost and the connection with it: every call fails until it is made again.
    | CutBefore
    /// The same, and the other node has answered.
    | CutAfter
    /// One byte of the reply is another one.
    | Flipped of int

/// The serving node as another node calls it, without a network in between.
type DirectPeer(node: ServingNode, ownId: int64) =
    let mutable broken = false
    let mutable sent = 0L
    let mutable running = 0
    let calls = List<PeerMethod>()
    member val Fate: PeerMethod -> Fate = (fun _ -> Answered) with get, set

    /// Bytes of all replies to reads, those that were lost included.
    member _.Sent = sent

    member _.Calls(method: PeerMethod) = calls |> Seq.filter (fun call -> call = method) |> Seq.length

    /// Calls under way.
    member _.Running = Volatile.Read &running

    member _.Reconnect() = broken <- false

    member private _.Cut(wasSent) : exn =
        broken <- true
        PeerUnavailableException(3L, wasSent, "cut by the test")

    member private peer.Call(group, method, request: ReadOnlyMemory<byte>, token: CancellationToken) =
        task {
            do! Task.Yield()
            token.ThrowIfCancellationRequested()

            // One call at a time decides about its fate and is counted; the source itself is called by many at once.
            let fate =
                lock calls (fun () ->
                    if broken then raise (peer.Cut false)

                    calls.Add method
                    let fate = peer.Fate method
                    if fate = CutBefore then raise (peer.Cut false)
                    fate)

            let! reply =
                task {
                    try
                        return! node.Source.HandleAsync(ownId, group, method, ReadOnlyMemory(request.ToArray()), token)
                    with e when not (e :? OperationCanceledException) ->
                        return raise (PeerCallException e.Message)
                }

            let bytes = reply.ToArray()
            if method = PeerMethod.SnapshotRead then Interlocked.Add(&sent, int64 bytes.Length) |> ignore

            match fate with
            | Flipped at -> bytes[at % bytes.Length] <- bytes[at % bytes.Length] ^^^ 16uy
            | CutAfter -> raise (peer.Cut true)
            | CutBefore
            | Answered -> ()

            return ReadOnlyMemory bytes
        }

    interface IPeer with
        member _.NodeId = 3L
        member _.IsConnected = not broken
        member _.Silence = TimeSpan.Zero

        member peer.CallAsync(group, method, request, token) =
            task {
                Interlocked.Increment &running |> ignore

                try
                    return! peer.Call(group, method, request, token)
                finally
                    Interlocked.Decrement &running |> ignore
            }

/// The node that fetches, with a data directory of its own.
type FetchingNode(path: string, time: TimeProvider) =
    let directory = NodeDirectory.Open(path, NodeRole.Leader, 1L, Nullable history)
    let fetch = SnapshotFetch(directory, group, incarnation, fetchOptions, time, NullLogger<SnapshotFetch>.Instance)
    member _.Directory = directory

    member _.Fetch(peer: IPeer, least: int64, token: CancellationToken) =
        fetch.RunAsync(peer, SnapshotOpenRequest least, token).WaitAsync patience

    member node.Fetch(peer: IPeer) = node.Fetch(peer, 0L, CancellationToken.None)

    interface IDisposable with
        member _.Dispose() = directory.Dispose()

/// The exception that a task ends with.
let failing (work: Task) =
    task {
        try
            do! work.WaitAsync patience
            return Expecto.Tests.failtest "it was expected to fail"
        with
        | :? Expecto.AssertException as e -> return raise e
        | e -> return e
    }
