using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using RocksDbSharp;

namespace Regatta.Raft;

/// <summary>
/// The one thread that writes the log: takes what all groups have queued, writes it as ONE batch with one sync, then completes all of
/// them. The first failure is final: everything that waits and everything that comes later gets it, and the node stops.
/// </summary>
/// <param name="beforeWrite">Tests hold or fail a round here; null in production.</param>
internal sealed class RaftLogWriter(
    RocksDb database, string directory, SyncWitness witness, ByteBudget budget, FailStop failStop, Action? beforeWrite, GroupTrace? trace) : IDisposable
{
    /// <summary>A batch keeps its buffer for the next round unless it has grown beyond this.</summary>
    private const int BatchBytesKept = 4 << 20;

    /// <summary>A monitor, not a semaphore: the writer sleeps here, and SemaphoreSlim.Wait spins before it does (decision 0008).</summary>
    private readonly object _gate = new();
#if DEBUG
    private readonly WriteOptions _synced = new WriteOptions().SetSync(DebugBugs.Current != DebugBug.AcknowledgeBeforeSync);
#else
    private readonly WriteOptions _synced = new WriteOptions().SetSync(true);
#endif
    private List<LogOp> _ops = [];
    private List<LogOp> _spare = [];
    private TaskCompletionSource _round = NewRound();
    private Task _taken = Task.CompletedTask;
    private Exception? _failure;
    private long _rounds;
    private bool _stopping;
    private Thread? _thread;

    /// <param name="rounds">Rounds that are on disk already.</param>
    public void Start(long rounds)
    {
        _rounds = rounds;
        _thread = new Thread(Run) { IsBackground = true, Name = "raft log" };
        _thread.Start();
    }

    /// <summary>
    /// Queues steps for the next round. The order of calls is the order on disk, and a crash keeps a round whole or not at all.
    /// The task completes when the round is synced, with the failure if it cannot be; continuations run elsewhere than on the writer.
    /// </summary>
    public Task Enqueue(ReadOnlySpan<LogOp> ops)
    {
        ArgumentOutOfRangeException.ThrowIfZero(ops.Length);
        lock (_gate)
        {
            if (_failure is null && !_stopping)
            {
                if (_ops.Count == 0)
                    Monitor.Pulse(_gate);
                trace?.Wrote(ops);
                foreach (ref readonly LogOp op in ops)
                    _ops.Add(op);
                return _round.Task;
            }
        }

        budget.Release(BudgetedBytes(ops));
        return Task.FromException(_failure ?? new ObjectDisposedException(directory, "The log is closed."));
    }

    /// <summary>Completes when everything that was queued before is synced, with the failure if it cannot be.</summary>
    public Task Settled()
    {
        lock (_gate)
            return _ops.Count > 0 ? _round.Task : _taken;
    }

    /// <summary>Writes what is queued, then ends the thread. Nothing can be queued any more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_stopping)
                return;
            _stopping = true;
            Monitor.Pulse(_gate);
        }

        _thread?.Join();
    }

    private static TaskCompletionSource NewRound() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static long BudgetedBytes(ReadOnlySpan<LogOp> ops)
    {
        long bytes = 0;
        foreach (ref readonly LogOp op in ops)
        {
            if (op.Record is not null && op.Index != LogKey.HardState)
                bytes += op.Record.Length;
        }

        return bytes;
    }

    private void Run()
    {
        WriteBatch batch = new();
        try
        {
            while (true)
            {
                (List<LogOp> ops, TaskCompletionSource round) = TakeRound();
                if (ops.Count == 0)
                    return;
                if (!TryWrite(batch, ops, round))
                    return;
                ops.Clear();
                batch = Emptied(batch);
            }
        }
        finally
        {
            batch.Dispose();
        }
    }

    /// <summary>Waits for something to write. No steps: the writer stops, and nothing is left to write.</summary>
    private (List<LogOp> Ops, TaskCompletionSource Round) TakeRound()
    {
        lock (_gate)
        {
            while (_ops.Count == 0 && !_stopping)
                Monitor.Wait(_gate);
            (List<LogOp> ops, TaskCompletionSource round) = (_ops, _round);
            _ops = _spare;
            _spare = ops;
            _round = NewRound();
            if (ops.Count == 0)
                return (ops, round);
            _taken = round.Task;
            trace?.Taken(_rounds + 1);
            return (ops, round);
        }
    }

    private bool TryWrite(WriteBatch batch, List<LogOp> ops, TaskCompletionSource round)
    {
        ReadOnlySpan<LogOp> span = CollectionsMarshal.AsSpan(ops);
        long bytes = BudgetedBytes(span);
        try
        {
            int entries = Fill(batch, span, _rounds + 1);
            beforeWrite?.Invoke();
            long started = Stopwatch.GetTimestamp();
            database.Write(batch, _synced);
            witness.Advance(++_rounds);
            trace?.Synced(_rounds);
            RaftMetrics.SyncSeconds.Record(Stopwatch.GetElapsedTime(started).TotalSeconds);
            RaftMetrics.Syncs.Add(1);
            RaftMetrics.LogEntries.Add(entries);
            RaftMetrics.LogBytes.Add(bytes);
        }
        catch (Exception e)
        {
            budget.Release(bytes);
            Fail(e, round);
            return false;
        }

        // The room first: whoever sees the round done finds it free again.
        budget.Release(bytes);
        round.SetResult();
        return true;
    }

    private void Fail(Exception cause, TaskCompletionSource round)
    {
        IOException failure = new($"Writing or syncing the Raft log in '{directory}' failed: {cause.Message}", cause);
        // First the node is told, so that whoever sees the failure below finds it stopping already.
        failStop.Trigger(
            $"{failure.Message} Nothing was acknowledged after it. Check the disk (space, kernel log), then start the node again.");
        long queued;
        TaskCompletionSource next;
        lock (_gate)
        {
            _failure = failure;
            next = _round;
            queued = BudgetedBytes(CollectionsMarshal.AsSpan(_ops));
            _ops.Clear();
        }

        budget.Release(queued);
        round.SetException(failure);
        next.SetException(failure);
    }

    private static unsafe int Fill(WriteBatch batch, ReadOnlySpan<LogOp> ops, long round)
    {
        Span<byte> key = stackalloc byte[LogKey.Bytes];
        Span<byte> end = stackalloc byte[LogKey.Bytes];
        LogKey.Write(key, LogKey.Rounds, 0);
        BinaryPrimitives.WriteInt64LittleEndian(end, round);
        batch.Put(key, end[..sizeof(long)]);
        int entries = 0;
        foreach (ref readonly LogOp op in ops)
        {
            LogKey.Write(key, op.Group, op.Index);
            if (op.Record is not null)
            {
                batch.Put(key, op.Record);
                entries += op.Index == LogKey.HardState ? 0 : 1;
                continue;
            }

            LogKey.Write(end, op.Group, op.End);
            fixed (byte* from = key, to = end)
                batch.DeleteRange(from, LogKey.Bytes, to, LogKey.Bytes);
        }

        return entries;
    }

    private static WriteBatch Emptied(WriteBatch batch)
    {
        if (batch.AsSpan().Length <= BatchBytesKept)
            return batch.Clear();
        batch.Dispose();
        return new WriteBatch();
    }
}
