using Regatta.Storage.Formats;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>
/// Where the changelog begins, and cutting it. Writers hold the store's gate; <see cref="Floor"/> is for any thread. The floor is stored in
/// the same batch as the deletion: after a crash either both are there or neither is, and what a crash brings back below it stays hidden.
/// </summary>
internal sealed class Changelog
{
    private static readonly long TimeMarkPeriod = (long)TimeSpan.FromMinutes(1).TotalMilliseconds;
    private readonly TableDatabase _database;
    private readonly TimeProvider _clock;
    private readonly ChangelogMarks _marks;
    private long _floor;

    private Changelog(TableDatabase database, TimeProvider clock, ChangelogMarks marks, long floor)
    {
        _database = database;
        _clock = clock;
        _marks = marks;
        _floor = floor;
    }

    /// <summary>The first revision that can be read; behind the newest one while the changelog is empty.</summary>
    internal long Floor => Volatile.Read(ref _floor);

    /// <summary>Bytes of changelog ever written, those trimmed included.</summary>
    internal long TotalBytes => _marks.TotalBytes;

    /// <summary>Needs a reference on the database.</summary>
    /// <exception cref="StorageCorruptionException">Changelog and applied state do not belong together.</exception>
    internal static Changelog Load(TableDatabase database, StorageEnvironment environment, long applied)
    {
        long first = StoredFloor(database);
        Span<byte> start = stackalloc byte[ChangelogRecord.KeyBytes];
        ChangelogRecord.EncodeKey(start, first, 0);
        using (var records = new FamilyIterator(database, Family.Changelog, 0, start, default, bounded: false))
            first = records.MoveNext() ? ChangelogRecord.DecodeKey(records.Key, database.Directory).Revision : applied + 1;
        VerifyEnd(database, first, applied);
        return new Changelog(database, environment.Clock, ChangelogMarks.Load(database, environment.Options.ChangelogMarkBytes, applied), first);
    }

    /// <summary>Adds to a batch that is about to be written what the changelog wants to remember of it.</summary>
    internal ChangelogMark? Prepare(TableBatch batch, long revision)
    {
        ChangelogMark? mark = batch.ChangelogBytes == 0 ? null : _marks.Due(revision, batch.ChangelogBytes, Now());
        if (mark is { } due) Put(batch, due);
        return mark;
    }

    /// <summary>The batch was written.</summary>
    internal void Written(TableBatch batch, long revision, ChangelogMark? mark) => _marks.Written(batch.ChangelogBytes, revision, mark);

    /// <summary>As <see cref="ChangelogMarks.BytesBehind"/>.</summary>
    internal long BytesBehind(long revision) => _marks.BytesBehind(revision);

    /// <summary>The cut that <paramref name="limits"/> ask for; equal to <see cref="Floor"/> when nothing is to go.</summary>
    internal long FloorFor(ChangelogLimits limits, long applied)
    {
        long floor = _floor;
        if (limits.Revisions is { } count) floor = Math.Max(floor, applied - count + 1);
        if (limits.Bytes is { } bytes) floor = Math.Max(floor, _marks.FloorForBytes(bytes, _floor));
        if (limits.Age is { } age) floor = Math.Max(floor, _marks.FloorForTime(Now() - (long)age.TotalMilliseconds));
        return floor;
    }

    /// <summary>A mark for revisions that have none yet, so that they can age; null if not needed.</summary>
    internal ChangelogMark? AgeMark(ChangelogLimits limits, long applied)
    {
        ChangelogMark? newest = _marks.Newest;
        bool behind = applied >= _floor && (newest?.Revision ?? 0) < applied;
        if (limits.Age is null || !behind || Now() - (newest?.Time ?? 0) < TimeMarkPeriod) return null;
        return _marks.Now(applied, Now());
    }

    internal static void Put(TableBatch batch, ChangelogMark mark)
    {
        Span<byte> key = stackalloc byte[MetaRecord.MarkKeyBytes];
        Span<byte> record = stackalloc byte[MetaRecord.MarkBytes];
        MetaRecord.EncodeMarkKey(key, mark.Revision);
        MetaRecord.EncodeMark(record, key, mark);
        batch.PutRaw(Family.Meta, key, record);
    }

    /// <summary>Puts the deletion of everything below <paramref name="floor"/> into a batch.</summary>
    internal void PrepareTrim(TableBatch batch, long floor)
    {
        Span<byte> first = stackalloc byte[ChangelogRecord.KeyBytes];
        Span<byte> end = stackalloc byte[ChangelogRecord.KeyBytes];
        ChangelogRecord.EncodeKey(first, _floor, 0);
        ChangelogRecord.EncodeKey(end, floor, 0);
        batch.DeleteRange(Family.Changelog, first, end);

        Span<byte> record = stackalloc byte[MetaRecord.FloorBytes];
        MetaRecord.EncodeFloor(record, floor);
        batch.PutRaw(Family.Meta, MetaRecord.FloorKey, record);

        // One by one: range deletions in meta would slow the reads of the applied state down.
        Span<byte> mark = stackalloc byte[MetaRecord.MarkKeyBytes];
        foreach (long revision in _marks.UselessBelow(floor))
        {
            MetaRecord.EncodeMarkKey(mark, revision);
            batch.DeleteRaw(Family.Meta, mark);
        }
    }

    /// <summary>From now on readers are told that everything below is gone. Before the deletion is written: they must never meet a hole.</summary>
    internal void Raise(long floor)
    {
        Volatile.Write(ref _floor, floor);
        _marks.Trim(floor);
    }

    internal void Marked(ChangelogMark? mark) => _marks.Written(0, _marks.Revision, mark);

    /// <summary>
    /// Removes files that hold only what was trimmed, without reading them. Only below the floor that is on disk: a removal is
    /// durable at once, and a crash right after it must not bring back records around a hole.
    /// </summary>
    internal void DeleteFiles()
    {
        Span<byte> first = stackalloc byte[ChangelogRecord.KeyBytes];
        Span<byte> end = stackalloc byte[ChangelogRecord.KeyBytes];
        ChangelogRecord.EncodeKey(first, 0, 0);
        using (PinnedValue stored = _database.GetPersisted(Family.Meta, MetaRecord.FloorKey))
        {
            if (!stored.Found) return;
            ChangelogRecord.EncodeKey(end, MetaRecord.DecodeFloor(stored.Bytes, _database.Directory), 0);
        }

        _database.DeleteFiles(Family.Changelog, first, end);
    }

    private long Now() => _clock.GetUtcNow().ToUnixTimeMilliseconds();

    private static long StoredFloor(TableDatabase database)
    {
        using PinnedValue stored = database.Get(Family.Meta, database.PointOptions, MetaRecord.FloorKey);
        return stored.Found ? MetaRecord.DecodeFloor(stored.Bytes, database.Directory) : 1;
    }

    /// <summary>The last record must be of the applied revision: they are written together.</summary>
    private static void VerifyEnd(TableDatabase database, long first, long applied)
    {
        byte[]? key = FamilyIterator.LastKey(database, Family.Changelog);
        long last = key is null ? 0 : ChangelogRecord.DecodeKey(key, database.Directory).Revision;
        bool together = first > applied ? last <= applied : last == applied;
        if (!together)
            throw RocksError.Corrupt(database.Directory, $"the changelog ends with revision {last}, but revision {applied} is applied: they are written together");
    }
}
