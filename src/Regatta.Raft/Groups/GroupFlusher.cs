namespace Regatta.Raft;

/// <summary>
/// Decides when a table's state goes to disk, and cuts its log below what is there. Used by one thread at a time, except
/// <see cref="Flushed"/>.
/// </summary>
internal sealed class GroupFlusher(EntryLog log, IGroupState state, GroupOptions options, TimeProvider time)
{
    /// <summary>RocksDB is not asked whether it has flushed by itself a smaller part of <see cref="GroupOptions.FlushBytes"/>: it hardly has, and the log that could be cut is not worth a read per table and second.</summary>
    private const int LeastPart = 256;

    private long _flushed = state.Flushed.Index;

    /// <summary>0: all is on disk, or the table has not been looked at since.</summary>
    private long _unflushedSince;

    /// <summary>Index up to which the state is known to be on disk.</summary>
    public long Flushed => Volatile.Read(ref _flushed);

    /// <summary>Bytes of the log that are not on disk as state, roughly; about as much is in the state's write buffers.</summary>
    public long UnflushedBytes => log.BytesAfter(Flushed);

    /// <summary>How long they have been there, within the interval of <see cref="RunAsync"/>.</summary>
    public TimeSpan UnflushedFor => Volatile.Read(ref _unflushedSince) is var since && since != 0 ? time.GetElapsedTime(since) : TimeSpan.Zero;

    /// <param name="now">Whether to flush although it is not time yet.</param>
    public async Task RunAsync(bool now)
    {
        long applied = state.Store.Applied.Index;
        if (applied == Flushed)
            Volatile.Write(ref _unflushedSince, 0);
        else
            Flush(applied, now);
        // Also when nothing was flushed just now: a clean stop flushes and leaves the cut to the next start.
        await log.CutAsync(Flushed, options.RetainedLogBytes).ConfigureAwait(false);
    }

    private void Flush(long applied, bool now)
    {
        // RocksDB flushes by itself too, when its buffers are full.
        if (now || UnflushedBytes >= options.FlushBytes / LeastPart)
            Volatile.Write(ref _flushed, state.Flushed.Index);
        if (!now && !IsDue(applied))
            return;
        state.Flush();
        RaftMetrics.Flushes.Add(1);
        Volatile.Write(ref _flushed, state.Flushed.Index);
        Volatile.Write(ref _unflushedSince, 0);
    }

    private bool IsDue(long applied)
    {
        if (applied <= Flushed)
            return false;
        long now = time.GetTimestamp();
        if (_unflushedSince == 0)
            Volatile.Write(ref _unflushedSince, now);
        return log.BytesAfter(Flushed) >= options.FlushBytes || time.GetElapsedTime(_unflushedSince, now) >= options.FlushInterval;
    }
}
