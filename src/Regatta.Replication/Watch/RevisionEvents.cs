using System.Collections.Immutable;
using Regatta.Core;

namespace Regatta.Replication;

/// <summary>
/// Makes events of changelog records, in the order in which the changes happened. The keys that a range delete removed follow the record in parts of their own, and what comes behind it in a transaction is
/// held back until all of them are there; so a revision of any size passes through in pieces. Not thread-safe.
/// </summary>
/// <param name="before">The chain hash at the revision before the first one that is read; null: it is not known.</param>
internal sealed class RevisionEvents(ChainHash? before)
{
    private ImmutableArray<Change> _changes = [];
    private int _at;
    private long _removed;
    private WatchedRevision? _current;

    /// <summary>The revision whose events came last.</summary>
    public long Revision => _current?.Number ?? 0;

    /// <summary>All events of <see cref="Revision"/> have come.</summary>
    public bool IsComplete => _at == _changes.Length;

    /// <summary>The chain hash at the last revision whose events have all come; null: it is not known.</summary>
    public ChainHash? Chain => IsComplete && _current is not null ? _current.Chain : Before;

    /// <summary>The chain hash at the revision before <see cref="Revision"/>; null: it is not known.</summary>
    public ChainHash? Before => _current is null ? before : _current.Before;

    /// <summary>False: this record, the first one, does not continue what came before it, so it is of another history.</summary>
    public bool Continues(in StoredChange record) =>
        _current is not null || before is not { } known || ChangeCodec.Continues(known, record.Revision, record.Record);

    /// <param name="record">The next record of the changelog; the first one ever is the first of a revision.</param>
    /// <exception cref="InvalidDataException">It cannot follow the one before.</exception>
    public void Take(in StoredChange record, List<WatchEvent> events)
    {
        if (record.Part == 0)
            Begin(record, events);
        else
            TakeKeys(record, events);
    }

    private void Begin(in StoredChange record, List<WatchEvent> events)
    {
        if (!IsComplete)
            throw new InvalidDataException($"The changelog's revision {Revision} misses {_removed} of the keys that it removed.");
        ChangeRecord read = ChangeCodec.Read(record.Record);
        _changes = read.Changes;
        _current = new WatchedRevision(record.Revision, _current is null ? before : _current.Chain, read.Chain);
        _at = 0;
        GoOn(events);
    }

    private void TakeKeys(in StoredChange record, List<WatchEvent> events)
    {
        RemovedKeys removed = ChangeCodec.ReadRemovedKeys(record.Record);
        if (IsComplete || record.Revision != Revision || removed.Position != _at || removed.Keys.Length > _removed)
            throw new InvalidDataException($"The changelog's revision {record.Revision} has removed keys in part {record.Part} that no change of it has removed.");
        foreach (RemovedKey key in removed.Keys)
            events.Add(new WatchEvent(_current!, _at, key.Key, default, 0, 0, key.Replaced));
        _removed -= removed.Keys.Length;
        if (_removed > 0)
            return;
        _at++;
        GoOn(events);
    }

    /// <summary>Up to the next range delete, whose keys come in parts.</summary>
    private void GoOn(List<WatchEvent> events)
    {
        for (; !IsComplete; _at++)
        {
            switch (_changes[_at])
            {
                case Change.Put put:
                    events.Add(new WatchEvent(_current!, _at, put.Key, put.Value, put.CreateRevision, put.Version, put.Replaced));
                    break;
                case Change.Delete delete:
                    events.Add(new WatchEvent(_current!, _at, delete.Key, default, 0, 0, delete.Replaced));
                    break;
                case Change.DeleteRange delete:
                    _removed = delete.Removed;
                    return;
            }
        }
    }
}
