using Regatta.Storage.Formats;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>
/// Positions in the changelog with the time and the bytes written up to there, in revision order. Kept in memory and in meta; lost and
/// restored together with the changelog that they describe. For the writer alone, but for <see cref="BytesBehind"/>.
/// </summary>
internal sealed class ChangelogMarks
{
    private readonly List<ChangelogMark> _marks = [];
    private readonly long _interval;

    // The writer changes the marks under it; it reads them without.
    private readonly Lock _gate = new();

    private ChangelogMarks(long interval) => _interval = interval;

    /// <summary>Bytes of changelog ever written.</summary>
    internal long TotalBytes { get; private set; }

    /// <summary>The newest revision, up to which they were written.</summary>
    internal long Revision { get; private set; }

    internal ChangelogMark? Newest => _marks.Count == 0 ? null : _marks[^1];

    /// <summary>Needs a reference on the database.</summary>
    internal static ChangelogMarks Load(TableDatabase database, long interval, long applied)
    {
        var marks = new ChangelogMarks(interval);
        Span<byte> first = stackalloc byte[MetaRecord.MarkKeyBytes];
        MetaRecord.EncodeMarkKey(first, 0);
        using (var records = new FamilyIterator(database, Family.Meta, 0, first, MetaRecord.MarksEnd, bounded: true))
            while (records.MoveNext())
                marks._marks.Add(MetaRecord.DecodeMark(records.Key, records.Value, database.Directory));
        marks.TotalBytes = (marks.Newest?.Bytes ?? 0) + Stored(database, marks.Newest?.Revision ?? 0);
        marks.Revision = applied;
        return marks;
    }

    /// <summary>A mark that this write should carry: enough bytes have come since the last one.</summary>
    internal ChangelogMark? Due(long revision, long addedBytes, long now)
    {
        long bytes = TotalBytes + addedBytes;
        return bytes - (Newest?.Bytes ?? 0) >= _interval ? MarkAt(revision, now, bytes) : null;
    }

    /// <summary>A mark at what is written so far.</summary>
    internal ChangelogMark Now(long revision, long now) => MarkAt(revision, now, TotalBytes);

    /// <summary>Takes over what a write that succeeded has put into meta.</summary>
    internal void Written(long addedBytes, long revision, ChangelogMark? mark)
    {
        lock (_gate)
        {
            TotalBytes += addedBytes;
            Revision = revision;
            if (mark is not { } added) return;
            if (Newest?.Revision == added.Revision) _marks[^1] = added;
            else _marks.Add(added);
        }
    }

    /// <summary>About how many bytes were written behind a revision: exact at the marks and at the end, in between as if all revisions were of one size. Thread-safe.</summary>
    internal long BytesBehind(long revision)
    {
        lock (_gate)
        {
            if (revision >= Revision) return 0;
            int at = _marks.FindLastIndex(mark => mark.Revision <= revision);
            (long Revision, long Bytes) before = at < 0 ? (0, 0) : (_marks[at].Revision, _marks[at].Bytes);
            (long Revision, long Bytes) after = at + 1 < _marks.Count ? (_marks[at + 1].Revision, _marks[at + 1].Bytes) : (Revision, TotalBytes);
            double part = after.Revision == before.Revision ? 1 : (double)(revision - before.Revision) / (after.Revision - before.Revision);
            return TotalBytes - before.Bytes - (long)((after.Bytes - before.Bytes) * part);
        }
    }

    /// <summary>The first revision to keep so that no more than <paramref name="limit"/> bytes stay, or 0 if all may.</summary>
    internal long FloorForBytes(long limit, long floor)
    {
        if (_marks.Count == 0 || TotalBytes - BytesBefore(floor) <= limit) return 0;
        int at = _marks.FindIndex(mark => TotalBytes - mark.Bytes <= limit);
        return (at < 0 ? _marks[^1] : _marks[at]).Revision + 1;
    }

    /// <summary>The first revision to keep so that none stays that was written at <paramref name="oldest"/> or earlier, as far as marks tell; or 0.</summary>
    internal long FloorForTime(long oldest)
    {
        int at = _marks.FindLastIndex(mark => mark.Time <= oldest);
        return at < 0 ? 0 : _marks[at].Revision + 1;
    }

    /// <summary>Revisions of the marks that a cut at <paramref name="floor"/> makes useless: all before the last one below it.</summary>
    internal IEnumerable<long> UselessBelow(long floor) => _marks.Take(Math.Max(LastBefore(floor), 0)).Select(mark => mark.Revision);

    internal void Trim(long floor)
    {
        int at = LastBefore(floor);
        if (at <= 0) return;
        lock (_gate)
            _marks.RemoveRange(0, at);
    }

    private int LastBefore(long floor) => _marks.FindLastIndex(mark => mark.Revision < floor);

    private long BytesBefore(long floor)
    {
        int at = LastBefore(floor);
        return at < 0 ? 0 : _marks[at].Bytes;
    }

    // The wall clock may go back; the order of marks must not.
    private ChangelogMark MarkAt(long revision, long now, long bytes) => new(revision, Math.Max(now, Newest?.Time ?? 0), bytes);

    private static long Stored(TableDatabase database, long revision)
    {
        Span<byte> first = stackalloc byte[ChangelogRecord.KeyBytes];
        ChangelogRecord.EncodeKey(first, revision + 1, 0);
        long bytes = 0;
        using var records = new FamilyIterator(database, Family.Changelog, 0, first, default, bounded: false);
        while (records.MoveNext()) bytes += records.Key.Length + records.Value.Length;
        return bytes;
    }
}
