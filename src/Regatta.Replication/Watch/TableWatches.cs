using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Replication;

/// <summary>
/// The watches of one table on this node (G8). Those that are at the end of the table's history share one reader: it decodes each new revision once and hands its events to the watches whose keys they are of.
/// It runs while there are such watches. Thread-safe.
/// </summary>
public sealed class TableWatches(ITableGroup group) : IAsyncDisposable
{
    private const int PageBytes = 256 << 10;

    // A revision of more is for each watch to read by itself.
    private const int LargestShared = 4096;

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<ReadOnlyMemory<byte>, List<Watch>> _byKey = new(KeyComparer.Instance);
    private readonly List<Watch> _byRange = [];
    private readonly List<Watch> _unproven = [];
    private readonly Dictionary<Watch, List<WatchEvent>> _touched = [];
    private readonly List<WatchEvent> _events = [];
    private RevisionEvents _reading = new(null);
    private Task _tail = Task.CompletedTask;
    private bool _isRunning;
    private bool _isDisposed;

    /// <summary>The revision that the shared reader hands out next.</summary>
    private long _next;

    /// <summary>A watch of keys from a revision on; see <see cref="Watch"/>.</summary>
    public Watch Watch(WatchedKeys keys, WatchStart start, Action<Watch> isReady)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(start.Revision, 1, nameof(start));
        ArgumentOutOfRangeException.ThrowIfNegative(start.Skip, nameof(start));
#if DEBUG
        if (DebugBugs.Current == DebugBug.WatchSkipsOnResume && start.Revision <= group.Reader.Revision)
            start = start with { Revision = start.Revision + 1, Chain = null };
#endif
        return new Watch(this, keys, start, isReady);
    }

    /// <summary>Ends all live watches; those that read by themselves find out.</summary>
    public async ValueTask DisposeAsync()
    {
        Task tail;
        lock (_gate)
        {
            _isDisposed = true;
            tail = _tail;
            EndAll(new WatchEnd.Replaced());
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await tail.ConfigureAwait(false);
        _stopping.Dispose();
    }

    internal IChangeReader Open(long from) => group.Reader.OpenChanges(from, withParts: true);

    /// <summary>Whether the table's history has a revision in it; null: it does not reach back so far any more.</summary>
    internal bool? Has(WatchedRevision revision)
    {
        ITableReader reader = group.Reader;
        if (revision.Number > reader.Revision)
            return false;
        ChainRead here = reader.ReadChain(revision.Number);
        return here.Found ? here.Chain == revision.Chain : null;
    }

    /// <summary>What a watch of its own looks previous values up in.</summary>
    internal PreviousValues OpenPrevious() => new(revision => group.Reader.OpenChanges(revision, withParts: false));

    /// <summary>Feeds a watch that has read everything there is.</summary>
    internal Joining Join(Watch watch, in WatchPosition at)
    {
        TaskCompletionSource? begin = null;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (watch.IsClosed)
                return Joining.Joined;
            if (!_isRunning)
                begin = Begin(at);
            if (_next > at.Next)
                return Joining.NotYet;
            bool isComparable = _next == at.Next && _reading.Chain is not null && at.Before is not null;
            if (isComparable && _reading.Chain != at.Before)
                return Joining.OtherHistory;
            if (!isComparable && at.Before is not null)
                _unproven.Add(watch);
            Add(watch);
            watch.GoLive();
        }

        // Not under the lock: it goes on here, as far as it gets at once.
        begin?.SetResult();
        return Joining.Joined;
    }

    internal void Leave(Watch watch)
    {
        lock (_gate)
        {
            watch.IsClosed = true;
            Remove(watch);
        }
    }

    /// <returns>The revision up to which the watch was fed and has sent everything, if a word about that is wanted; else null.</returns>
    internal WatchItem.Progress? Progress(Watch watch)
    {
        lock (_gate)
            return watch.TakeProgress() ? new WatchItem.Progress(_next - 1, _reading.Chain) : null;
    }

    [SuppressMessage("Design", "CA1031", Justification = "Whatever the reader meets is told to those who watch.")]
    private async Task TailAsync(Task begin)
    {
        try
        {
            await begin.ConfigureAwait(false);
            IChangeReader changes = Open(_next);
            while (IsWanted())
            {
                await group.WaitForRevisionAsync(_next, _stopping.Token).ConfigureAwait(false);
                switch (changes.Read(PageBytes))
                {
                    case ChangelogRead.Records { Items: [var first, ..] } when !_reading.Continues(first):
                        Stop(new WatchEnd.Replaced());
                        return;
                    case ChangelogRead.Records { Items: var records }:
                        if (!TakeAll(records))
                            return;
                        break;
                    case ChangelogRead.Compacted compacted:
                        Stop(new WatchEnd.Compacted(compacted.Oldest));
                        return;
                }
            }
        }
        catch (Exception e) when (e is ObjectDisposedException or OperationCanceledException)
        {
            Stop(new WatchEnd.Replaced());
        }
        catch (Exception e)
        {
            Stop(new WatchEnd.Failed(e));
        }
    }

    /// <summary>Begins where the watch is; or where the table is, if the watch waits for what is still to come: others join before that.</summary>
    private TaskCompletionSource Begin(in WatchPosition at)
    {
        TaskCompletionSource begin = new();
        _next = Math.Min(at.Next, group.Reader.Revision + 1);
        _reading = new RevisionEvents(_next == at.Next && at.IsProven ? at.Before : null);
        _events.Clear();
        _isRunning = true;
        _tail = TailAsync(begin.Task);
        return begin;
    }

    private bool IsWanted()
    {
        lock (_gate)
            return _isRunning = _byKey.Count > 0 || _byRange.Count > 0;
    }

    private void Stop(WatchEnd end)
    {
        lock (_gate)
        {
            _isRunning = false;
            EndAll(end);
        }
    }

    /// <returns>False: no watch is left to read for.</returns>
    private bool TakeAll(ImmutableArray<StoredChange> records)
    {
        lock (_gate)
        {
            foreach (StoredChange record in records)
            {
                _reading.Take(record, _events);
                if (_events.Count > LargestShared)
                {
                    // Ends with them, under one lock: who joined half-way would miss what was taken already.
                    LeaveAllBehind();
                    return _isRunning = false;
                }

                if (!_reading.IsComplete)
                    continue;
                HandOut();
                _events.Clear();
                _next = _reading.Revision + 1;
            }

            return true;
        }
    }

    private void HandOut()
    {
        LetProve();
        foreach (WatchEvent change in _events)
        {
            if (_byKey.TryGetValue(change.Key, out List<Watch>? watches))
                watches.ForEach(watch => Touch(watch, change));
            foreach (Watch watch in _byRange.Where(watch => watch.Keys.Contains(change.Key.Span)))
                Touch(watch, change);
        }

        foreach ((Watch watch, List<WatchEvent> events) in _touched)
        {
            if (!watch.Offer(_reading, events))
                Remove(watch);
        }

        _touched.Clear();
    }

    /// <summary>Those that waited for the revision which shows whether they may go on: they read it by themselves.</summary>
    private void LetProve()
    {
        if (_unproven.Count == 0)
            return;
        foreach (Watch watch in _unproven.Where(watch => watch.Awaited <= _reading.Revision).ToArray())
        {
            watch.FallBehind(_reading);
            Remove(watch);
        }
    }

    private void Touch(Watch watch, WatchEvent change)
    {
        if (!_touched.TryGetValue(watch, out List<WatchEvent>? events))
            _touched.Add(watch, events = []);
        events.Add(change);
    }

    private void LeaveAllBehind()
    {
        foreach (Watch watch in All())
            watch.FallBehind(_reading);
        _byKey.Clear();
        _byRange.Clear();
        _unproven.Clear();
    }

    private void EndAll(WatchEnd end)
    {
        foreach (Watch watch in All())
            watch.Fail(end);
        _byKey.Clear();
        _byRange.Clear();
        _unproven.Clear();
    }

    private IEnumerable<Watch> All() => _byKey.Values.SelectMany(static watches => watches).Concat(_byRange);

    private void Add(Watch watch)
    {
        if (!watch.Keys.IsSingle)
            _byRange.Add(watch);
        else if (_byKey.TryGetValue(watch.Keys.Start, out List<Watch>? watches))
            watches.Add(watch);
        else
            _byKey.Add(watch.Keys.Start, [watch]);
    }

    private void Remove(Watch watch)
    {
        _unproven.Remove(watch);
        if (!watch.Keys.IsSingle)
        {
            _byRange.Remove(watch);
        }
        else if (_byKey.TryGetValue(watch.Keys.Start, out List<Watch>? watches))
        {
            watches.Remove(watch);
            if (watches.Count == 0)
                _byKey.Remove(watch.Keys.Start);
        }
    }
}
