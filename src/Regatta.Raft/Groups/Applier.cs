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
    private readonly IGroupState _state;
    private readonly ITableStore _store;
    private readonly AppliedProgress _progress;
    private readonly ViewRequests _views;
    private readonly FailStop _failStop;
    private readonly string _table;
    private readonly long _maxBytes;
    private readonly List<CommittedEntry> _entries = [];
    private readonly Action<long> _needState;
    private TableMachine _machine;
    private int _requests;
    private bool _stopped;

    /// <param name="needState">An installation at this index cannot be carried out, because its state is not here: the state of a node that has must be fetched. Cheap, again and again.</param>
    public Applier(EntryLog log, IGroupState state, AppliedProgress progress, ViewRequests views, FailStop failStop, string table, long maxBytes, Action<long> needState)
    {
        _log = log;
        _state = state;
        _store = state.Store;
        _needState = needState;
        _machine = new TableMachine(_store);
        _progress = progress;
        _views = views;
        _failStop = failStop;
        _table = table;
        _maxBytes = maxBytes;
    }

    /// <summary>The next entry is an installation whose state is not here.</summary>
    public bool IsStalled { get; private set; }

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
                if (FirstInstall(entries) is { } install)
                    return TryInstall(entries[0], install);
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

    /// <summary>The installation that the first entry is; if a later one is, it and what follows are taken away.</summary>
    private static InstallCommand? FirstInstall(List<StoredEntry> entries)
    {
        for (int i = 0; i < entries.Count; i++)
        {
            if (entries[i].IsConfiguration || EntryReader.ReadInstall(entries[i].Payload) is not { } install)
                continue;
            if (i == 0)
                return install;
            entries.RemoveRange(i, entries.Count - i);
            return null;
        }

        return null;
    }

    /// <returns>True: it is done, or was to be skipped.</returns>
    private bool TryInstall(in StoredEntry entry, InstallCommand install)
    {
        AppliedState now = _store.Applied;
        long index = _progress.Index + 1;
        bool advances = install.Advances(now.Incarnation, now.Revision);
        if (advances)
        {
            IsStalled = !_state.TryInstall(install, index, entry.Term);
            if (IsStalled)
            {
                _needState(index);
                return false;
            }

            // It remembers what it has put into the former one.
#if DEBUG
            _machine = DebugBugs.Current == DebugBug.StaleCacheAfterSwap ? _machine : new TableMachine(_store);
#else
            _machine = new TableMachine(_store);
#endif
        }
        else
        {
            _machine.Apply([new CommittedEntry(index, entry.Term, default, null)]);
        }

        Trace(_store.Applied.Revision);
        _log.ForgetProposals(index, index);
        entry.Proposal?.Waiters.Set(0, new ReplicatedResult(_store.Applied.Revision, advances));
        _progress.Advance(index, _store.Applied.Revision);
        if (_views.Any)
            _views.Serve();
        entry.Proposal?.Waiters.Applied();
        return true;
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

        long before = _store.Applied.Revision;
        _machine.Apply(CollectionsMarshal.AsSpan(_entries));
        _entries.Clear();
        RaftMetrics.ApplyBatches.Add(1);
        RaftMetrics.AppliedEntries.Add(entries.Count);
        Trace(before);
        _log.ForgetProposals(first, last);
        _progress.Advance(last, _store.Applied.Revision);
        foreach (StoredEntry entry in entries)
            entry.Proposal?.Waiters.Applied();
    }

    /// <summary>Writes down what readers are about to see.</summary>
    /// <param name="before">The revision that they see now.</param>
    private void Trace(long before)
    {
        if (_log.Trace is not { } trace)
            return;
        AppliedState now = _store.Applied;
        List<(long Revision, ChainHash Chain)> states = [(now.Revision, now.Chain)];
        for (long revision = before + 1; revision < now.Revision; revision++)
        {
            if (_store.ReadChain(revision) is { Found: true, Chain: var chain })
                states.Add((revision, chain));
        }

        trace.Applied(_log.Group, now.Index, CollectionsMarshal.AsSpan(states));
    }
}
