module Regatta.Raft.Tests.Fixtures

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open DotNext.IO.Log
open DotNext.Net.Cluster
open DotNext.Net.Cluster.Consensus.Raft
open Regatta.Core
open Regatta.Raft

/// Nothing in these tests waits longer than this for anything that should come at once.
let patience = TimeSpan.FromSeconds 60.

let soon (work: Task) = work.WaitAsync patience

let soonResult (work: Task<'a>) = work.WaitAsync patience

/// Waits for the end of the work, whatever the end is.
let ended (work: Task) = work.ContinueWith((fun (_: Task) -> ()), TaskScheduler.Default).WaitAsync patience

/// What the work failed with.
let failure (work: Task) =
    task {
        do! ended work

        return
            match Option.ofObj work.Exception with
            | Some e -> e.GetBaseException()
            | None -> Expecto.Tests.failtest "it was expected to fail"
    }

/// A test whose body is a task.
let taskCase name (body: unit -> Task<unit>) =
    Expecto.Tests.testCaseAsync name (async { do! Regatta.Testing.Afterwards.run body |> Async.AwaitTask })

/// A directory of its own for one test, removed at its end.
type TemporaryDirectory() =
    let path = Path.Combine(Path.GetTempPath(), "regatta-raft-" + Guid.NewGuid().ToString "N")

    do Directory.CreateDirectory path |> ignore
    member _.Path = path
    member _.Sub(name: string) = Path.Combine(path, name)

    interface IDisposable with
        member _.Dispose() = Directory.Delete(path, true)

/// The gate from one closing to the next: who came to it is known and held by the same one.
type private Passage(isOpen: bool) =
    let opened = new ManualResetEventSlim(isOpen)
    let reached = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    member _.Reached = reached.Task
    member _.IsOpen = opened.IsSet
    member _.Open() = opened.Set()

    member _.Pass() =
        reached.TrySetResult() |> ignore
        opened.Wait()

/// Stands between the log's writer and the disk: holds a round, fails one, counts them.
type WriteGate() =
    let mutable passage = Passage true
    let mutable failure: exn option = None
    let mutable rounds = 0

    /// Rounds that have reached the disk or were about to.
    member _.Rounds = Volatile.Read &rounds

    /// From here on a round that comes stops before it is written; one that has come before is written.
    member _.Close() = if passage.IsOpen then Volatile.Write(&passage, Passage false)

    /// Completes when a round has come to the closed gate.
    member _.Reached = passage.Reached

    member _.Open() = passage.Open()

    /// The next round, and the one at the closed gate, fails instead of being written.
    member _.Fail(cause: exn) =
        failure <- Some cause
        passage.Open()

    /// Opens the gate at the end of a test: a test that fails must not wait for a writer that it holds.
    member gate.OpenAtEnd() =
        { new IDisposable with
            member _.Dispose() = gate.Open() }

    member _.Pass() =
        (Volatile.Read &passage).Pass()
        Interlocked.Increment &rounds |> ignore

        match failure with
        | Some cause -> raise cause
        | None -> ()

let smallLog = RaftLogOptions(WriteBufferBytes = (4L <<< 20), BlockCacheBytes = (1L <<< 20))

let openStoreTraced (trace: GroupTrace | null) (options: RaftLogOptions) (directory: string) (failStop: FailStop) (gate: WriteGate option) =
    let pass: Action | null =
        match gate with
        | Some gate -> Action gate.Pass
        | None -> null

    RaftLogStore.Open(directory, options, failStop, pass, trace)

let openStoreWith options directory failStop gate = openStoreTraced null options directory failStop gate

let openStore directory failStop gate = openStoreWith smallLog directory failStop gate

let enqueue (store: RaftLogStore) (ops: LogOp list) = store.Enqueue(ReadOnlySpan(List.toArray ops))

let sealedRecord group index term (payload: byte array) =
    let record = LogRecord.New(term, false, ReadOnlySpan payload)
    LogRecord.Seal(Span record, group, index)
    record

let nothingApplied = AppliedState()

let appliedAt index term = AppliedState(index, term, 0L, Incarnation(), ChainHash())

/// An entry as a leader sends it, or as the protocol appends it.
type Entry(term: int64, payload: byte array, snapshot: bool) =
    new(term, payload) = Entry(term, payload, false)

    interface IRaftLogEntry with
        member _.Term = term
        member _.IsSnapshot = snapshot
        member _.IsReusable = true
        member _.Length = Nullable(int64 payload.Length)

        member _.TryGetMemory(memory: byref<ReadOnlyMemory<byte>>) =
            memory <- ReadOnlyMemory payload
            true

        member _.WriteToAsync(writer, token) = writer.Invoke(ReadOnlyMemory payload, token)

/// What a reader of the log was given.
type Given = { Snapshot: int64 option; Terms: int64 list; Payloads: byte array list }

/// Hands out everything that a read passes on.
/// <param name="termsOnly">As DotNext asks for a term.</param>
type Collector(termsOnly: bool) =
    interface ILogEntryConsumer<IRaftLogEntry, Given> with
        member _.LogEntryMetadataOnly = termsOnly

        member _.ReadAsync<'entry, 'list when 'entry :> IRaftLogEntry and 'list :> System.Collections.Generic.IReadOnlyList<'entry>>
            (entries: 'list, snapshotIndex: Nullable<int64>, _: CancellationToken)
            =
            let payload (entry: 'entry) =
                let mutable memory = ReadOnlyMemory<byte>()

                if not (entry.TryGetMemory &memory) then failwith "an entry of the log has no memory"

                memory.ToArray()

            ValueTask<Given>(
                { Snapshot = Option.ofNullable snapshotIndex
                  Terms = [ for entry in entries -> entry.Term ]
                  Payloads = [ for entry in entries -> payload entry ] }
            )

/// Waiters that remember what they were told.
type Waiters() =
    let told = System.Collections.Concurrent.ConcurrentQueue<string>()
    member _.Told = List.ofSeq told

    interface IProposalWaiters with
        member _.Set(_, _) = ()
        member _.Committed() = told.Enqueue "committed"
        member _.Applied() = told.Enqueue "applied"
        member _.Lost _ = told.Enqueue "lost"

let member' (number: int) =
    let bytes = Array.zeroCreate<byte> ClusterMemberId.Size
    BitConverter.TryWriteBytes(Span bytes, number) |> ignore
    ClusterMemberId(ReadOnlySpan bytes)

/// One group's log with everything around it that it needs, on a store of its own.
type GroupFixture(directory: string, gate: WriteGate option, options: RaftLogOptions, applied: AppliedState) =
    let failStop = new FailStop()
    let store = openStoreWith options (Path.Combine(directory, "log")) failStop gate
    let entries = EntryLog(store, 7L)
    let progress = AppliedProgress(applied.Index, applied.Revision)
    let mutable flushed = applied.Index

    do
        try
            entries.Open applied
        with _ ->
            store.Dispose()
            failStop.Dispose()
            reraise ()

    let log = new GroupLog(Path.Combine(directory, "shell"), entries, progress, (fun () -> flushed))

    let trail = log :> IPersistentState
    new(directory, gate) = new GroupFixture(directory, gate, smallLog, nothingApplied)
    new(directory) = new GroupFixture(directory, None)
    member _.Store = store
    member _.Entries = entries
    member _.Progress = progress
    member _.FailStop = failStop
    member _.Trail = trail

    member _.Flushed
        with get () = flushed
        and set value = flushed <- value

    member _.AppendAsLeader(term, payload: byte array) = trail.AppendAsync(Entry(term, payload), CancellationToken.None).AsTask()

    member _.AppendFromLeader(start: int64, items: (int64 * byte array) list) =
        let producer = new LogEntryProducer<Entry>([| for term, payload in items -> Entry(term, payload) |])
        trail.AppendAsync(producer :> ILogEntryProducer<Entry>, start, true, CancellationToken.None).AsTask()

    member _.InstallSnapshot(index: int64, term) = trail.AppendAsync(Entry(term, [||], true), index, CancellationToken.None).AsTask()

    member _.UpdateTerm(term: int64) = trail.UpdateTermAsync(term, true, CancellationToken.None).AsTask()

    member _.MayVoteFor(number: int) =
        let candidate = member' number
        trail.IsVotedFor &candidate

    member _.Commit(index: int64) = trail.CommitAsync(index, CancellationToken.None).AsTask()

    member _.Read(first: int64, last: int64, ?termsOnly: bool) =
        let reader = Collector(defaultArg termsOnly false) :> ILogEntryConsumer<IRaftLogEntry, Given>
        (trail :> IAuditTrail<IRaftLogEntry>).ReadAsync(reader, first, last, CancellationToken.None).AsTask()

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    gate |> Option.iter _.Open()
                    do! log.DisposeAsync()
                    store.Dispose()
                    failStop.Dispose()
                }
                :> Task
            )
