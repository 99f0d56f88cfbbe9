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

    // Events with what they replaced: what was 64 KiB may be much more then, and comes in several pieces.
    private const int PieceBytes = 256 << 10;

    // How much of the changelog is read in one go when none of it is of the watch's keys: others of the stream must get on.
    private const int PagesInOneGo = 8;

    private readonly TableWatches _table;
    private readonly Action<Watch> _isReady;
    private readonly Lock _gate = new();
    private readonly List<WatchEvent> _queue = [];
    private readonly PreviousValues? _previous;
    private readonly long _start;
    private int _queued;
    private long _skip;
    private bool _isScheduled;
    private bool _isLive;
    private bool _isProgressDue;
    private WatchEnd? _end;
    private IChangeReader? _changes;
    private RevisionEvents _reading = new(null);

    /// <summary>Events that wait for their previous values.</summary>
    private WatchItem.Events? _rest;

    /// <summary>The revision from which on events are still to come.</summary>
    private long _next;

    /// <summary>The chain hash at the revision before that; null: it is not known. Who opens the changelog anew compares it: the table's state may be another one by then.</summary>
    private ChainHash? _before;

    private bool _isProven;

    /// <param name="isReady">Told when there may be something to be had by <see cref="Next"/>, once until that was called. Must not wait for anything.</param>
    internal Watch(TableWatches table, WatchedKeys keys, WatchStart start, Action<Watch> isReady)
    {
        _table = table;
        Keys = keys.Range;
        _previous = keys.WithPrevious ? table.OpenPrevious() : null;
        _start = start.Revision;
        _next = start.Revision;
        // Before the first revision there is nothing to compare.
        _before = start.Revision > 1 ? start.Chain : null;
        _isProven = _before is null;
        _skip = start.Skip;
        _isReady = isReady;
    }

    public KeyRange Keys { get; }

    /// <summary>Nobody asks it any more. For <see cref="TableWatches"/>, under its lock.</summary>
    internal bool IsClosed { get; set; }

    /// <summary>The revision from which on it is to be fed. For <see cref="TableWatches"/>, under its lock, while it feeds the watch.</summary>
    internal long Awaited => _next;

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
        lock (_gate)
            _isScheduled = false;
        WatchItem? item = _rest ?? NextEvents();
        return item is WatchItem.Events events && _previous is not null ? Piece(events, _previous) : item;
    }

    private WatchItem? NextEvents()
    {
        bool isLive;
        lock (_gate)
        {
            if (_queue.Count > 0)
                return Drain();
            if (_end is { } end)
                return new WatchItem.Ended(end);
            isLive = _isLive;
        }

        if (!isLive)
            return Read();
        return _table.Progress(this);
    }

    /// <summary>The first of the events, with what they replaced, as many as make a message; the others wait.</summary>
    private WatchItem Piece(WatchItem.Events events, PreviousValues previous)
    {
        try
        {
            ImmutableArray<WatchEvent> piece = WithPrevious(events.Items, previous);
            // It was looked up in the state of the moment.
            switch (_table.Has(piece[^1].In))
            {
                case false:
                    return Ended(new WatchEnd.Replaced());
                case null:
                    piece = [.. piece.Select(static change => change with { Previous = PreviousValues.NotKept(change) })];
                    break;
            }

            // What comes behind it, other events or what the watch is asked for, waits until all these are sent.
            Schedule();
            if (piece.Length == events.Items.Length)
            {
                _rest = null;
                previous.Forget();
                return events with { Items = piece };
            }

            _rest = events with { Items = events.Items[piece.Length..] };
            WatchedRevision last = piece[^1].In;
            bool isComplete = _rest.Items[0].Revision > last.Number;
            return new WatchItem.Events(piece, last.Number, isComplete, isComplete ? last.Chain : last.Before);
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

    /// <summary>Bounded by what is read, too: the others of the stream must get on.</summary>
    private static ImmutableArray<WatchEvent> WithPrevious(ImmutableArray<WatchEvent> events, PreviousValues previous)
    {
        ImmutableArray<WatchEvent>.Builder piece = ImmutableArray.CreateBuilder<WatchEvent>(events.Length);
        long sent = 0;
        long before = previous.BytesRead;
        foreach (WatchEvent change in events)
        {
            WatchEvent full = change with { Previous = previous.Of(change) };
            sent += full.Bytes + (full.Previous?.Value.Length ?? 0);
            if (piece.Count > 0 && Math.Max(sent, previous.BytesRead - before) > PieceBytes)
                break;
            piece.Add(full);
        }

        return piece.DrainToImmutable();
    }

    /// <summary>Everything that was fed, which is whole revisions. Under the lock.</summary>
    private WatchItem.Events Drain()
    {
        WatchItem.Events events = new([.. _queue], _queue[^1].Revision, IsComplete: true, _queue[^1].In.Chain);
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
                    case ChangelogRead.Records { Items: [var first, ..] } when !_reading.Continues(first):
                        return Ended(Strayed());
                    case ChangelogRead.Records { Items: var records } when Events(records) is { } events:
                        Schedule();
                        return events;
                    case ChangelogRead.Compacted compacted:
                        return Ended(new WatchEnd.Compacted(compacted.Oldest));
                    case ChangelogRead.CaughtUp:
                        Joining joining = _table.Join(this, new WatchPosition(_next, _before, _isProven));
                        if (joining == Joining.OtherHistory)
                            return Ended(Strayed());
                        if (joining == Joining.NotYet)
                            break;
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
        if (_changes is null)
        {
            _changes = _table.Open(_next);
            _reading = new RevisionEvents(_before);
        }

        return _changes.Read(PageBytes);
    }

    /// <summary>What comes here is not what has to come next: either the client is of another history, or the table's state was replaced while it was watched.</summary>
    private WatchEnd Strayed() => _isProven ? new WatchEnd.Replaced() : new WatchEnd.OtherHistory();

    private WatchItem.Events? Events(ImmutableArray<StoredChange> records)
    {
        List<WatchEvent> all = [];
        foreach (StoredChange record in records)
            _reading.Take(record, all);
        _isProven = true;
        if (_reading.IsComplete)
            (_next, _before) = (_reading.Revision + 1, _reading.Chain);
        ImmutableArray<WatchEvent> ours = [.. all.Where(Wants)];
        return ours.IsEmpty ? null : new WatchItem.Events(ours, _reading.Revision, _reading.IsComplete, _reading.Chain);
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
    internal bool Offer(RevisionEvents reading, List<WatchEvent> events)
    {
        long revision = reading.Revision;
        lock (_gate)
        {
            if (revision < _next)
                return true;
            int bytes = events.Sum(static change => change.Bytes);
            if (_queued + bytes > QueueBytes)
            {
                FallBehindLocked(reading);
                return false;
            }

            (_next, _before) = (revision + 1, reading.Chain);
            int before = _queue.Count;
            _queue.AddRange(revision == _start ? events.Where(Wants) : events);
            _queued += bytes;
            if (_queue.Count > before)
                ScheduleLocked();
            return true;
        }
    }

    /// <summary>The table feeds it no more: it reads on by itself, from the revision that is read there. For <see cref="TableWatches"/>, under its lock.</summary>
    internal void FallBehind(RevisionEvents reading)
    {
        lock (_gate)
            FallBehindLocked(reading);
    }

    private void FallBehindLocked(RevisionEvents reading)
    {
        _isLive = false;
        if (reading.Revision > _next || (reading.Revision == _next && _before is null))
            (_next, _before) = (reading.Revision, reading.Before);
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
