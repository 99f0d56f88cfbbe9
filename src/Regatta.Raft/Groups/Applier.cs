using System.Runtime.InteropServices;
using Regatta.Core;

namespace Regatta.Raft;

/// <summary>
/// Applies committed entries to the table: all that are there, up to a bound, in one atomic write; then readers see them, then those
/// who wait are told. Takes a pool thread only while there is something to do; runs on one thread at a time.
/// </summary>
internal sealed class Applier : IThreadPoolWorkItem
{
    private readonly Lock _step = new();
    private readonly EntryLog _log;
    private readonly ITableStore _store;
    private readonly TableMachine _machine;
    private readonly AppliedProgress _progress;
    private readonly ViewRequests _views;
    private readonly FailStop _failStop;
    private readonly string _table;
    private readonly long _maxBytes;
    private readonly List<CommittedEntry> _entries = [];
    private int _requests;
    private bool _stopped;

    public Applier(EntryLog log, ITableStore store, AppliedProgress progress, ViewRequests views, FailStop failStop, string table, long maxBytes)
    {
        _log = log;
        _store = store;
        _machine = new TableMachine(store);
        _progress = progress;
        _views = views;
        _failStop = failStop;
        _table = table;
        _maxBytes = maxBytes;
    }

    /// <summary>There may be committed entries to apply. Cheap, from any thread.</summary>
    public void Schedule()
    {
        // Local: the thread that committed has nothing else to do in a moment, and the data is in its cache.
        if (Interlocked.Increment(ref _requests) == 1)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);
    }

    /// <summary>See <see cref="ITableGroup.OpenViewAsync"/>. Waits for the step that runs.</summary>
    public ValueTask<ExactView?> OpenViewAsync(long revision, CancellationToken cancellationToken)
    {
        lock (_step)
            return _views.OpenAsync(revision, cancellationToken);
    }

    /// <summary>Returns when no step runs and none will.</summary>
    public void Stop()
    {
        lock (_step)
            _stopped = true;
    }

    void IThreadPoolWorkItem.Execute()
    {
        int seen;
        do
        {
            seen = Volatile.Read(ref _requests);
            while (TryStep())
            {
            }
        }
        while (Interlocked.Add(ref _requests, -seen) > 0);
    }

    /// <returns>True if there was something to apply; then there may be more.</returns>
    private bool TryStep()
    {
        lock (_step)
        {
            if (_stopped || _failStop.Cause is not null)
                return false;
            try
            {
                List<StoredEntry> entries = _log.ReadCommitted(_progress.Index + 1, _maxBytes);
                if (entries.Count == 0)
                    return false;
                bool isViewWanted = _views.Any;
                if (isViewWanted)
                    _views.Shorten(entries);
                Apply(entries);
                if (isViewWanted)
                    _views.Serve();
                return true;
            }
            catch (Exception e)
            {
                _stopped = true;
                _failStop.Trigger($"Applying the log to table '{_table}' (group {_log.Group}) behind entry {_progress.Index} failed: {e.Message}");
                return false;
            }
        }
    }

    private void Apply(List<StoredEntry> entries)
    {
        long first = _progress.Index + 1;
        long last = _progress.Index + entries.Count;
        _entries.Clear();
        foreach (StoredEntry entry in entries)
        {
            ReadOnlyMemory<byte> payload = entry.IsConfiguration ? default : entry.Payload;
            _entries.Add(new CommittedEntry(first + _entries.Count, entry.Term, payload, entry.Proposal?.Waiters));
        }

        _machine.Apply(CollectionsMarshal.AsSpan(_entries));
        _entries.Clear();
        RaftMetrics.ApplyBatches.Add(1);
        RaftMetrics.AppliedEntries.Add(entries.Count);
        _log.ForgetProposals(first, last);
        _progress.Advance(last, _store.Applied.Revision);
        foreach (StoredEntry entry in entries)
            entry.Proposal?.Waiters.Applied();
    }
}
