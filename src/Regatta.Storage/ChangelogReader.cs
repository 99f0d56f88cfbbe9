using System.Collections.Immutable;
using Regatta.Core;
using Regatta.Storage.Formats;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>
/// Reads a table's changelog in revision order, a bounded piece at a time. Holds nothing between two reads. Not thread-safe; any
/// number of readers may be at work beside the writer and the trimmer.
/// </summary>
/// <param name="from">The first revision wanted, 1 or more; behind the newest one is fine.</param>
/// <param name="withParts">Also the records with the keys that range deletes removed.</param>
public sealed class ChangelogReader(TableStore store, long from, bool withParts) : IChangeReader
{
    private static readonly ChangelogRead.CaughtUp UpToDate = new();

    // The record that comes next: it exists, unless it was trimmed or its revision is still to be written.
    private long _revision = from >= 1 ? from : throw new ArgumentOutOfRangeException(nameof(from), from, "must be 1 or more");
    private int _part;

    public long BytesLeft => store.ChangelogBytesBehind(_revision - 1);

    /// <inheritdoc/>
    /// <exception cref="StorageCorruptionException">A record is damaged, or missing in the middle.</exception>
    public ChangelogRead Read(int maxBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBytes, 1);
        using DatabaseLease lease = store.Database.Lease();
        long newest = store.Revision;
        if (_revision > newest) return UpToDate;
        if (_revision < store.ChangelogFloor) return new ChangelogRead.Compacted(store.ChangelogFloor);
        ImmutableArray<StoredChange>.Builder items = ImmutableArray.CreateBuilder<StoredChange>();
        Collect(newest, maxBytes, items);
        if (items.Count > 0) return new ChangelogRead.Records(items.DrainToImmutable());
        if (_revision > newest) return UpToDate;

        // The next record is not there: cut away since we looked, or lost.
        if (_revision < store.ChangelogFloor) return new ChangelogRead.Compacted(store.ChangelogFloor);
        throw RocksError.Corrupt(
            store.Directory, $"the changelog misses revision {_revision} part {_part}, although its oldest is {store.ChangelogFloor} and its newest {newest}");
    }

    /// <summary>Reads on until the bytes are full, all is read, or a record is missing.</summary>
    private void Collect(long newest, int maxBytes, ImmutableArray<StoredChange>.Builder items)
    {
        using FamilyIterator records = Scan(newest);
        (long Revision, int Part) expected = (_revision, _part);
        bool any = false;
        int bytes = 0;
        while (records.MoveNext())
        {
            (long Revision, int Part) at = ChangelogRecord.DecodeKey(records.Key, store.Directory);
            // How many parts a revision has only its record 0 knows: after any of them the next revision may come.
            bool follows = at == expected || (any && at == (expected.Revision + 1, 0));
            if (!follows)
            {
                if (any) (_revision, _part) = expected;
                return;
            }

            ReadOnlySpan<byte> record = ChangelogRecord.Decode(records.Value, records.Key, store.Directory);
            if (at.Part == 0 || withParts)
            {
                if (items.Count > 0 && bytes + record.Length > maxBytes)
                {
                    (_revision, _part) = at;
                    return;
                }

                items.Add(new StoredChange(at.Revision, at.Part, record.ToArray()));
                bytes += record.Length;
            }

            expected = (at.Revision, at.Part + 1);
            any = true;
        }

        // A revision is written as a whole: what was seen of the last one is all there is.
        if (any) (_revision, _part) = (expected.Revision + 1, 0);
    }

    private FamilyIterator Scan(long newest)
    {
        Span<byte> start = stackalloc byte[ChangelogRecord.KeyBytes];
        Span<byte> end = stackalloc byte[ChangelogRecord.KeyBytes];
        ChangelogRecord.EncodeKey(start, _revision, _part);
        ChangelogRecord.EncodeKey(end, newest + 1, 0);
        return new FamilyIterator(store.Database, Family.Changelog, 0, start, end, bounded: true);
    }
}
