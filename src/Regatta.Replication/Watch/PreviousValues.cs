using System.Collections.Immutable;
using Regatta.Core;

namespace Regatta.Replication;

/// <summary>
/// Looks up what changes replaced: a change knows the revision that wrote it, and the changelog has the value there, as long as it reaches back so far. It looks into whatever state is there; whether that has the
/// history of the changes is for the caller to find out behind it. Not thread-safe.
/// </summary>
/// <param name="open">The changelog from a revision on.</param>
internal sealed class PreviousValues(Func<long, IChangeReader> open)
{
    // Changes of one transaction often replace what one other has written.
    private long _revision;
    private ImmutableArray<Change> _changes = [];

    /// <summary>Bytes of records that were read.</summary>
    public long BytesRead { get; private set; }

    /// <summary>What is told of a change whose value is not kept.</summary>
    public static KeyRecord? NotKept(in WatchEvent change) => change.Replaced == 0 ? null : new KeyRecord(change.Key, new RecordHeader(0, change.Replaced, 0), default);

    /// <returns>See <see cref="WatchEvent.Previous"/>.</returns>
    /// <exception cref="ObjectDisposedException">The table was closed, or its state is just being replaced.</exception>
    /// <exception cref="InvalidDataException">The changelog is damaged.</exception>
    public KeyRecord? Of(in WatchEvent change)
    {
        if (change.Replaced == 0 || !Load(change.Replaced))
            return NotKept(change);
        // In its own revision it is what a transaction wrote earlier; in another one what was left at its end.
        for (int at = change.Replaced == change.Revision ? change.Position - 1 : _changes.Length - 1; at >= 0; at--)
        {
            if (at < _changes.Length && _changes[at] is Change.Put put && put.Key.Span.SequenceEqual(change.Key.Span))
                return new KeyRecord(put.Key, new RecordHeader(put.CreateRevision, change.Replaced, put.Version), put.Value);
        }

        return NotKept(change);
    }

    /// <summary>Lets the record go that was read last.</summary>
    public void Forget() => (_revision, _changes) = (0, []);

    /// <returns>False: it is not there.</returns>
    private bool Load(long revision)
    {
        if (revision == _revision)
            return true;
        if (open(revision).Read(1) is not ChangelogRead.Records { Items: [var record, ..] })
            return false;
        _changes = ChangeCodec.Read(record.Record).Changes;
        _revision = revision;
        BytesRead += record.Record.Length;
        return true;
    }
}
