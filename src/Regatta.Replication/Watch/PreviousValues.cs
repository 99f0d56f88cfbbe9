using System.Collections.Immutable;
using Regatta.Core;

namespace Regatta.Replication;

/// <summary>
/// Looks up what changes replaced: a change knows the revision that wrote it, and the changelog has the value there, as long as it reaches back so far. Not thread-safe.
/// </summary>
/// <param name="open">The changelog from a revision on.</param>
internal sealed class PreviousValues(Func<long, IChangeReader> open)
{
    // Changes of one transaction often replace what one other has written.
    private long _revision;
    private ImmutableArray<Change> _changes;

    /// <returns>See <see cref="WatchEvent.Previous"/>.</returns>
    /// <exception cref="ObjectDisposedException">The state behind it was closed.</exception>
    /// <exception cref="InvalidDataException">The changelog is damaged.</exception>
    public KeyRecord? Of(in WatchEvent change)
    {
        if (change.Replaced == 0)
            return null;
        if (!Load(change.Replaced))
            return new KeyRecord(change.Key, new RecordHeader(0, change.Replaced, 0), default);
        // In its own revision it is what a transaction wrote earlier; in another one what was left at its end.
        for (int at = change.Replaced == change.Revision ? change.Position - 1 : _changes.Length - 1; at >= 0; at--)
        {
            if (_changes[at] is Change.Put put && put.Key.Span.SequenceEqual(change.Key.Span))
                return new KeyRecord(put.Key, new RecordHeader(put.CreateRevision, change.Replaced, put.Version), put.Value);
        }

        throw new InvalidDataException($"The changelog's revision {change.Replaced} does not have the value that revision {change.Revision} replaced.");
    }

    /// <returns>False: it is not kept any more.</returns>
    private bool Load(long revision)
    {
        if (revision == _revision)
            return true;
        switch (open(revision).Read(1))
        {
            case ChangelogRead.Records { Items: [var record, ..] }:
                _changes = ChangeCodec.Read(record.Record).Changes;
                _revision = revision;
                return true;
            case ChangelogRead.Compacted:
                return false;
            default:
                throw new InvalidDataException($"The changelog says that revision {revision} was replaced, and does not have it yet.");
        }
    }
}
