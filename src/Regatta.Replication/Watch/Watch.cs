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
    private readonly RevisionEvents _reading = new();
    private readonly PreviousValues? _previous;
    private readonly long _start;
    private int _queued;
    private ChainHash? _queuedChain;
    private long _skip;
    private bool _isScheduled;
    private bool _isLive;
    private bool _isProgressDue;
    private WatchEnd? _end;
    private IChangeReader? _changes;

    /// <summary>Events that wait for their previous values.</summary>
    private WatchItem.Events? _rest;

    /// <summary>What the client knows of the history before its start, until that has been compared.</summary>
    private ChainHash? _known;

    /// <summary>The revision from which on events are still to come.</summary>
    private long _next;

    /// <param name="isReady">Told when there may be something to be had by <see cref="Next"/>, once until that was called. Must not wait for anything.</param>
    internal Watch(TableWatches table, WatchedKeys keys, WatchStart start, Action<Watch> isReady)
    {
        _table = table;
        Keys = keys.Range;
        _previous = keys.WithPrevious ? table.OpenPrevious() : null;
        _start = start.Revision;
        // Nothing comes before the first revision. Else the one before it is read, too: its record has the chain hash.
        _known = start.Revision > 1 ? start.Chain : null;
        _next = IsProven ? _start : ProofAt;
        _skip = start.Skip;
        _isReady = isReady;
    }

    public KeyRange Keys { get; }

    /// <summary>It is known to go on in the history that its client has had the beginning of, or the client has said nothing of that.</summary>
    internal bool IsProven => _known is null;

    /// <summary>The revision that shows it.</summary>
    internal long ProofAt => _start - 1;

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
            // What comes behind it, other events or what the watch is asked for, waits until all these are sent.
            Schedule();
            if (piece.Length == events.Items.Length)
            {
                _rest = null;
                return events with { Items = piece };
            }

            _rest = events with { Items = events.Items[piece.Length..] };
            long revision = piece[^1].Revision;
            return new WatchItem.Events(piece, revision, IsComplete: _rest.Items[0].Revision > revision, Chain: null);
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

    private static ImmutableArray<WatchEvent> WithPrevious(ImmutableArray<WatchEvent> events, PreviousValues previous)
    {
        ImmutableArray<WatchEvent>.Builder piece = ImmutableArray.CreateBuilder<WatchEvent>(events.Length);
        int bytes = 0;
        foreach (WatchEvent change in events)
        {
            WatchEvent full = change with { Previous = previous.Of(change) };
            bytes += full.Bytes + (full.Previous?.Value.Length ?? 0);
            if (piece.Count > 0 && bytes > PieceBytes)
                break;
            piece.Add(full);
        }

        return piece.DrainToImmutable();
    }

    /// <summary>Everything that was fed, which is whole revisions. Under the lock.</summary>
    private WatchItem.Events Drain()
    {
        WatchItem.Events events = new([.. _queue], _queue[^1].Revision, IsComplete: true, _queuedChain);
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
                    case ChangelogRead.Records { Items: [var first, ..] } when !Continues(first):
                        return Ended(new WatchEnd.OtherHistory());
                    case ChangelogRead.Records { Items: var records } when Events(records) is { } events:
                        Schedule();
                        return events;
                    case ChangelogRead.Compacted compacted when ProveWithoutRecord(compacted.Oldest) is { } end:
                        return Ended(end);
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

    /// <param name="first">The first record that is read: if there is something to compare, it is that of <see cref="ProofAt"/>.</param>
    private bool Continues(in StoredChange first)
    {
        if (_known is not { } known)
            return true;
        _known = null;
        return ChangeCodec.ReadChain(first.Record) == known;
    }

    /// <summary>The record that would show that the watch may go on is not kept, but it may be of the newest revision, whose chain hash the state has.</summary>
    /// <returns>Null: it goes on.</returns>
    private WatchEnd? ProveWithoutRecord(long oldest)
    {
        if (_known is not { } known || oldest > _start)
            return new WatchEnd.Compacted(oldest);
        // Opened before the comparison: if another state takes this one's place meanwhile, it is of no use.
        IChangeReader changes = _table.Open(_start);
        ChainRead here = _table.ReadChain(ProofAt);
        if (!here.Found)
            return new WatchEnd.Compacted(oldest);
        if (here.Chain != known)
            return new WatchEnd.OtherHistory();
        (_known, _changes, _next) = (null, changes, _start);
        return null;
    }

    private WatchItem.Events? Events(ImmutableArray<StoredChange> records)
    {
        List<WatchEvent> all = [];
        foreach (StoredChange record in records)
            _reading.Take(record, all);
        if (_reading.IsComplete)
            _next = _reading.Revision + 1;
        ImmutableArray<WatchEvent> ours = [.. all.Where(Wants)];
        return ours.IsEmpty ? null : new WatchItem.Events(ours, _reading.Revision, _reading.IsComplete, _reading.Chain);
    }

    private bool Wants(WatchEvent change)
    {
        if (change.Revision < _start || !Keys.Contains(change.Key.Span))
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
                FallBehindLocked(revision);
                return false;
            }

            _next = revision + 1;
            int before = _queue.Count;
            _queue.AddRange(revision == _start ? events.Where(Wants) : events);
            _queued += bytes;
            if (_queue.Count > before)
            {
                _queuedChain = reading.Chain;
                ScheduleLocked();
            }

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
