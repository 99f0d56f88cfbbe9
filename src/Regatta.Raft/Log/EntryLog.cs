using System.Diagnostics;
using DotNext.Net.Cluster;

namespace Regatta.Raft;

/// <summary>
/// One group's log on this node: bounds, term and vote, and the newest entries in memory; everything else is in <see cref="RaftLogStore"/>.
/// The order of changes under <see cref="_gate"/> is the order in which they reach the disk. Knows nothing of DotNext's protocol: what
/// DotNext expects of a log is <see cref="GroupLog"/>. Thread-safe.
/// </summary>
internal sealed partial class EntryLog(RaftLogStore store, long group)
{
    private readonly Lock _gate = new();
    private readonly LogTail _tail = new();
    private readonly LogSizes _sizes = new();

    /// <summary>As queued for the disk; what the protocol sees of it (<see cref="_term"/>, <see cref="_vote"/>) follows when it is synced.</summary>
    private HardState _hard;

    private ClusterMemberId? _vote;
    private long _term;
    private long _last;
    private long _commit;

    /// <summary>Called, without locks, whenever the commit index has moved. Set before the log is used.</summary>
    public Action? OnCommit { get; set; }

    public long Group => group;

    /// <summary>Null: nothing is written down.</summary>
    public GroupTrace? Trace => store.Trace;

    public long Term => Volatile.Read(ref _term);

    public long Last => Volatile.Read(ref _last);

    public long Commit => Volatile.Read(ref _commit);

    /// <summary>Entries up to this one are not in the log any more; and the term of that one.</summary>
    public (long Index, long Term) Cut
    {
        get
        {
            lock (_gate)
                return (_hard.CutIndex, _hard.CutTerm);
        }
    }

    public LogBounds Bounds
    {
        get
        {
            lock (_gate)
                return new LogBounds(_hard.CutIndex + 1, _last, _commit, _sizes.Bytes);
        }
    }

    public bool MayVoteFor(in ClusterMemberId candidate)
    {
        lock (_gate)
            return _vote is null || _vote == candidate;
    }

    /// <summary>What a leader of that term has to say when it has no entries to send.</summary>
    /// <returns>Null: the term is over.</returns>
    public Heartbeat? HeartbeatOf(long term)
    {
        // In this term nobody else has changed the log.
        lock (_gate)
            return _hard.Term == term ? new Heartbeat(group, term, _last, _commit) : null;
    }

    /// <summary>Raft's test for a candidate: its last entry is not older than this log's.</summary>
    public bool IsUpToDate(long lastIndex, long lastTerm)
    {
        lock (_gate)
        {
            long term = TermAtCore(_last);
            return lastTerm > term || (lastTerm == term && lastIndex >= _last);
        }
    }

    /// <summary>Changes term and vote; returns when they are synced, and only then does anybody see them.</summary>
    public async ValueTask<HardState> SetTermAsync(Func<HardState, HardState> change)
    {
        HardState next;
        Task durable;
        lock (_gate)
        {
            next = change(_hard);
            if (next.Term < _hard.Term)
                throw new InvalidOperationException($"Group {group}: the term would go back from {_hard.Term} to {next.Term}.");
            _hard = next;
#if DEBUG
            durable = store.Enqueue(LogOp.Put(group, DebugBugs.Current == DebugBug.ForgottenVote ? next with { Vote = null } : next));
#else
            durable = store.Enqueue(LogOp.Put(group, next));
#endif
        }

        // Not cancellable: once it is queued it will be on disk, and what the protocol sees must not lag behind that.
        await durable.ConfigureAwait(false);
        lock (_gate)
        {
            if (next.Term >= _term)
            {
                _vote = next.Vote;
                Volatile.Write(ref _term, next.Term);
            }
        }

        return next;
    }

    /// <summary>Completes when the entry is synced; completed for what has left memory, since only synced entries do.</summary>
    public Task DurableAt(long index)
    {
        lock (_gate)
            return DurableAtCore(index);
    }

    /// <summary>Moves the commit index, after the entries up to it are synced here: DotNext counts this node's own entries synced or not.</summary>
    /// <returns>The number of entries that this call committed.</returns>
    public async ValueTask<long> CommitAsync(long end, CancellationToken cancellationToken)
    {
        long term;
        Task durable;
        lock (_gate)
        {
            end = Math.Min(end, _last);
            if (end <= _commit)
                return 0;
            term = TermAtCore(end);
            durable = DurableAtCore(end);
        }

        return await CommitDurableAsync(end, term, durable, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<long> CommitDurableAsync(long end, long term, Task durable, CancellationToken cancellationToken)
    {
        if (!durable.IsCompletedSuccessfully)
            await durable.WaitAsync(cancellationToken).ConfigureAwait(false);
        long count = Advance(end, term, out List<ProposedEntry>? committed);
        if (count == 0)
            return 0;
        OnCommit?.Invoke();
        foreach (ProposedEntry entry in committed ?? [])
            entry.Waiters.Committed();
        return count;
    }

    /// <summary>The applier has handed the results of these entries over.</summary>
    public void ForgetProposals(long from, long to)
    {
        lock (_gate)
        {
            for (long index = Math.Max(from, _tail.First); index <= Math.Min(to, _tail.Last); index++)
            {
                if (_tail[index].Proposal is not null)
                    _tail.ForgetProposal(index);
            }
        }
    }

    /// <summary>Takes the proposals that are not applied, so that their callers can be told that their fate is unknown.</summary>
    public List<ProposedEntry> TakeProposals()
    {
        List<ProposedEntry> taken = [];
        lock (_gate)
        {
            for (long index = _tail.First; index <= _tail.Last; index++)
            {
                if (_tail[index].Proposal is not { } proposal)
                    continue;
                taken.Add(proposal);
                _tail.ForgetProposal(index);
            }
        }

        return taken;
    }

    /// <summary>Bytes of entries behind <paramref name="index"/>, roughly; 0 only if there are none.</summary>
    public long BytesAfter(long index)
    {
        lock (_gate)
            return _sizes.BytesAfter(index);
    }

    /// <summary>
    /// Deletes entries that the state on disk covers, except the newest <paramref name="retainBytes"/> of them, which spare a peer that lags a
    /// snapshot. Entries and the record of the cut change in one round. The task completes when it is synced.
    /// </summary>
    /// <param name="flushed">Read back from disk, never remembered: an entry cut too early cannot be had again.</param>
    public Task CutAsync(long flushed, long retainBytes)
    {
        lock (_gate)
        {
            if (flushed > _commit)
                throw new InvalidOperationException($"Group {group}: a cut at {flushed} would be above the commit index {_commit}.");
            long through = _sizes.IndexLeaving(retainBytes, flushed);
            if (through <= _hard.CutIndex)
                return Task.CompletedTask;
            long from = _hard.CutIndex + 1;
            _hard = _hard with { CutIndex = through, CutTerm = TermAtCore(through) };
            _tail.DropThrough(through);
            _sizes.Cut(through);
            return store.Enqueue(LogOp.Delete(group, from, through), LogOp.Put(group, _hard));
        }
    }

    private long Advance(long end, long term, out List<ProposedEntry>? committed)
    {
        committed = null;
        lock (_gate)
        {
            // While we waited another leader may have replaced the entry: then it is not what the caller meant.
            if (end > _last || TermAtCore(end) != term)
                return 0;
            long count = end - _commit;
            if (count <= 0)
                return 0;
            for (long index = Math.Max(_commit + 1, _tail.First); index <= end; index++)
            {
                if (_tail[index].Proposal is { } proposal)
                    (committed ??= []).Add(proposal);
            }

            Trace?.Committed(group, end);
            Volatile.Write(ref _commit, end);
            Evict();
            return count;
        }
    }

    /// <summary>Bounds memory. Entries that somebody waits for stay: there are never more than a few.</summary>
    private void Evict()
    {
        while (_tail.Bytes > store.Options.TailCacheBytes && _tail.First <= _commit && _tail[_tail.First].Proposal is null)
            _tail.DropFirst();
    }

    private Task DurableAtCore(long index) => _tail.Contains(index) ? _tail[index].Durable : Task.CompletedTask;

    private long TermAtCore(long index)
    {
        Debug.Assert(index >= _hard.CutIndex && index <= _last, "The term of an entry that is not in the log was asked for.");
        if (index == _hard.CutIndex)
            return _hard.CutTerm;
        return _tail.Contains(index) ? _tail[index].Term : LogRecord.Term(store.ReadEntry(group, index));
    }
}

/// <param name="First">First entry still in the log.</param>
/// <param name="Bytes">Bytes of records in the log, within 64 KiB.</param>
internal readonly record struct LogBounds(long First, long Last, long Commit, long Bytes);
