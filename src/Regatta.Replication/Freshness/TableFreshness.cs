using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Replication;

/// <summary>
/// How recent a table is on this node (G5): the latest moment of which it is certain that everything committed before it, at the leader site, is here. It comes from sightings of the leader site's table, each of which
/// counts once its revision is here, in the same history. Thread-safe; a look costs a comparison of revisions, as long as no sighting has just been reached.
/// </summary>
public sealed class TableFreshness(ITableGroup group)
{
    /// <summary>Nothing is certain yet.</summary>
    public const long Unknown = long.MinValue;

    /// <summary>A table that lags reaches the older ones first; beyond so many every second one is given up, and the bound is coarser for a while.</summary>
    private const int MaxWaiting = 16;

    private readonly Lock _gate = new();

    /// <summary>Not reached yet, or not compared; by moment, ascending.</summary>
    private readonly List<Sighting> _waiting = [];

    private long _moment = Unknown;
    private long _nextRevision = long.MaxValue;
    private Sighting? _latest;

    /// <summary>A time stamp, or <see cref="Unknown"/>. What is read behind this call has everything that was committed before it.</summary>
    public long Moment
    {
        get
        {
            if (Volatile.Read(ref _nextRevision) <= group.Reader.Revision)
            {
                lock (_gate)
                    Settle();
            }

            return Volatile.Read(ref _moment);
        }
    }

    /// <summary>The last that is known of the leader site's table, whether it has come here or not; null: nothing.</summary>
    public Sighting? Latest
    {
        get
        {
            lock (_gate)
                return _latest;
        }
    }

    /// <summary>News of the leader site, in any order.</summary>
    public void Saw(in Sighting sighting)
    {
        lock (_gate)
        {
            Remember(sighting);
            if (sighting.Moment <= _moment)
                return;
            int at = _waiting.Count;
            while (at > 0 && _waiting[at - 1].Moment > sighting.Moment)
                at--;
            _waiting.Insert(at, sighting);
            if (_waiting.Count > MaxWaiting)
                ThinOut();
            Settle();
        }
    }

    /// <summary>At the leader site: this node's own state, in which everything is that was committed before the moment.</summary>
    public void Confirm(in Sighting own)
    {
        lock (_gate)
        {
            Remember(own);
            Reach(own.Moment);
        }
    }

    private void Remember(in Sighting sighting)
    {
        if (_latest is null || sighting.Moment > _latest.Value.Moment)
            _latest = sighting;
    }

    private void Settle()
    {
        ITableReader reader = group.Reader;
        for (int i = _waiting.Count - 1; i >= 0; i--)
        {
            Sighting sighting = _waiting[i];
            if (sighting.Revision > reader.Revision)
                continue;
            _waiting.RemoveAt(i);
            // Where the changelog does not reach back to it, a later one will tell.
            ChainRead here = reader.ReadChain(sighting.Revision);
            if (here.Found && here.Chain == sighting.Chain)
            {
                Reach(sighting.Moment);
                return;
            }
        }

        Rearm();
    }

    private void Reach(long moment)
    {
        if (moment > _moment)
            Volatile.Write(ref _moment, moment);
        _waiting.RemoveAll(waiting => waiting.Moment <= moment);
        Rearm();
    }

    private void ThinOut()
    {
        for (int i = _waiting.Count - 2; i > 0; i -= 2)
            _waiting.RemoveAt(i);
    }

    private void Rearm()
    {
        long next = long.MaxValue;
        foreach (Sighting waiting in _waiting)
            next = Math.Min(next, waiting.Revision);
        Volatile.Write(ref _nextRevision, next);
    }
}
