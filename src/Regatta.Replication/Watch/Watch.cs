using System.Collections.Immutable;
using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Replication;

/// <summary>
/// One watch of a table's keys. At first, and whenever its client does not keep up, it reads the changelog by itself, a page for each <see cref="Next"/>, from where it is; once it is at the end it is fed by
/// <see cref="TableWatches"/>, into a queue of a few kilobytes. If that is full the queue takes no more, and what follows is read from the changelog again: so a slow client costs a position and a small queue, delays nobody, and misses nothing
/// that the changelog still has.
/// </summary>
/// <remarks><see cref="Next"/> is called by one caller at a time, all else from any thread.</remarks>
public sealed class Watch
{
    private const int QueueBytes = 16 << 10;
    private const int PageBytes = 64 << 10;

    // How much of the changelog is read in one go when none of it is of the watch's keys: others of the stream must get on.
    private const int PagesInOneGo = 8;

    private readonly TableWatches _table;
    private readonly Action<Watch> _isReady;
    private readonly Lock _gate = new();
    private readonly List<WatchEvent> _queue = [];
    private readonly RevisionEvents _reading = new();
    private readonly long _start;
    private int _queued;
    private long _skip;
    private bool _isScheduled;
    private bool _isLive;
    private bool _isProgressDue;
    private WatchEnd? _end;
    private IChangeReader? _changes;

    /// <summary>The revision from which on events are still to come.</summary>
    private long _next;

    /// <param name="start">The first revision that is wanted; it may be ahead of the table.</param>
    /// <param name="skip">How many events of <paramref name="start"/> to leave out: they came already.</param>
    /// <param name="isReady">Told when there may be something to be had by <see cref="Next"/>, once until that was called. Must not wait for anything.</param>
    internal Watch(TableWatches table, KeyRange keys, long start, long skip, Action<Watch> isReady)
    {
        _table = table;
        Keys = keys;
        _start = start;
        _next = start;
        _skip = skip;
        _isReady = isReady;
    }

    public KeyRange Keys { get; }

    /// <summary>Begins.</summary>
    public void Start() => Schedule();

    /// <summary>Ends it: nothing is fed to it any more.</summary>
    public void Close() => _table.Leave(this);

    /// <summary>Asks for a <see cref="WatchItem.Progress"/>, which comes when everything is sent that there is.</summary>
    public void AskForProgress()
    {
        lock (_gate)
            _isProgressDue = true;
        Schedule();
    }

    /// <summary>What is to be sent next; null: nothing at the moment. Waits for nothing but the disk.</summary>
    public WatchItem? Next()
    {
        bool isLive;
        lock (_gate)
        {
            _isScheduled = false;
            if (_queue.Count > 0)
                return Drain();
            if (_end is { } end)
                return new WatchItem.Ended(end);
            isLive = _isLive;
        }

        if (!isLive)
            return Read();
        return _table.Progress(this) is { } revision ? new WatchItem.Progress(revision) : null;
    }

    /// <summary>Everything that was fed, which is whole revisions. Under the lock.</summary>
    private WatchItem.Events Drain()
    {
        WatchItem.Events events = new([.. _queue], _queue[^1].Revision, IsComplete: true);
        _queue.Clear();
        _queued = 0;
        if (!_isLive || _isProgressDue)
            ScheduleLocked();
        return events;
    }

    /// <summary>The next page of events from the changelog; at its end the watch becomes a live one.</summary>
    private WatchItem? Read()
    {
        try
        {
            for (int pages = 0; pages < PagesInOneGo; pages++)
            {
                switch (ReadPage())
                {
                    case ChangelogRead.Records { Items: var records } when Events(records) is { } events:
                        Schedule();
                        return events;
                    case ChangelogRead.Compacted compacted:
                        return Ended(new WatchEnd.Compacted(compacted.Oldest));
                    case ChangelogRead.CaughtUp when _table.TryJoin(this, _next):
                        _changes = null;
                        return null;
                }
            }

            Schedule();
            return null;
        }
        catch (ObjectDisposedException)
        {
            return Ended(new WatchEnd.Replaced());
        }
        catch (Exception e) when (e is StorageException or InvalidDataException)
        {
            return Ended(new WatchEnd.Failed(e));
        }
    }

    private ChangelogRead ReadPage()
    {
        _changes ??= _table.Open(_next);
        return _changes.Read(PageBytes);
    }

    private WatchItem.Events? Events(ImmutableArray<StoredChange> records)
    {
        List<WatchEvent> all = [];
        foreach (StoredChange record in records)
            _reading.Take(record, all);
        if (_reading.IsComplete)
            _next = _reading.Revision + 1;
        ImmutableArray<WatchEvent> ours = [.. all.Where(Wants)];
        return ours.IsEmpty ? null : new WatchItem.Events(ours, _reading.Revision, _reading.IsComplete);
    }

    private bool Wants(WatchEvent change)
    {
        if (!Keys.Contains(change.Key.Span))
            return false;
        if (change.Revision != _start || _skip == 0)
            return true;
        _skip--;
        return false;
    }

    private WatchItem.Ended Ended(WatchEnd end)
    {
        lock (_gate)
            _end = end;
        return new WatchItem.Ended(end);
    }

    private void Schedule()
    {
        lock (_gate)
            ScheduleLocked();
    }

    private void ScheduleLocked()
    {
        if (_isScheduled)
            return;
        _isScheduled = true;
        _isReady(this);
    }

    /// <summary>The table feeds it from now on. For <see cref="TableWatches"/>, under its lock.</summary>
    internal void GoLive()
    {
        lock (_gate)
        {
            _isLive = true;
            if (_isProgressDue)
                ScheduleLocked();
        }
    }

    /// <summary>Takes the events of one revision. For <see cref="TableWatches"/>, under its lock.</summary>
    /// <param name="events">All that are of its keys.</param>
    /// <returns>False: there is no room, and it reads on by itself from this revision.</returns>
    internal bool Offer(long revision, List<WatchEvent> events)
    {
        lock (_gate)
        {
            if (revision < _next)
                return true;
            int bytes = events.Sum(static change => change.Bytes);
            if (_queued + bytes > QueueBytes)
            {
                FallBehindLocked(revision);
                return false;
            }

            _next = revision + 1;
            int before = _queue.Count;
            _queue.AddRange(revision == _start ? events.Where(Wants) : events);
            _queued += bytes;
            if (_queue.Count > before)
                ScheduleLocked();
            return true;
        }
    }

    /// <summary>The table feeds it no more: it reads on by itself from a revision. For <see cref="TableWatches"/>, under its lock.</summary>
    internal void FallBehind(long revision)
    {
        lock (_gate)
            FallBehindLocked(revision);
    }

    private void FallBehindLocked(long revision)
    {
        _isLive = false;
        _next = Math.Max(_next, revision);
        ScheduleLocked();
    }

    /// <summary>The table cannot feed it any more. For <see cref="TableWatches"/>, under its lock.</summary>
    internal void Fail(WatchEnd end)
    {
        lock (_gate)
        {
            _isLive = false;
            _end ??= end;
            ScheduleLocked();
        }
    }

    /// <summary>Whether a word about its progress is wanted, and it has sent all that it was fed. For <see cref="TableWatches"/>, under its lock.</summary>
    internal bool TakeProgress()
    {
        lock (_gate)
        {
            if (!_isProgressDue || !_isLive || _queue.Count > 0)
                return false;
            _isProgressDue = false;
            return true;
        }
    }
}
