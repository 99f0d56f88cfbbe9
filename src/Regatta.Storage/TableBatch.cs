using Regatta.Core;
using Regatta.Storage.Formats;
using Regatta.Storage.Rocks;
using RocksDbSharp;

namespace Regatta.Storage;

/// <summary>The writes of one atomic step, collected in a native batch. Goes back to the store's shelf when disposed.</summary>
internal sealed unsafe class TableBatch(TableDatabase database, Action<TableBatch> giveBack) : ITableBatch
{
    private const int KeepBytes = 1 << 20;
    private static readonly Native Rocks = Native.Instance;
    private byte[] _scratch = new byte[4096];
    private bool _inUse;

    /// <summary>The native batch.</summary>
    internal nint Handle { get; } = Rocks.rocksdb_writebatch_create();

    internal TableDatabase Database => database;

    /// <summary>True if anything but the applied state was written.</summary>
    internal bool HasChanges { get; private set; }

    /// <summary>Changelog bytes in this batch, keys included.</summary>
    internal long ChangelogBytes { get; private set; }

    /// <summary>Highest revision in the changelog records; 0 without any.</summary>
    internal long LastRevision { get; private set; }

    /// <summary>Lowest revision in the changelog records; 0 without any.</summary>
    internal long FirstRevision { get; private set; }

    public void Put(ReadOnlySpan<byte> key, in RecordHeader header, ReadOnlySpan<byte> value)
    {
        ThrowIfDisposed();
        Span<byte> record = Scratch(ValueRecord.HeaderBytes + value.Length);
        ValueRecord.Encode(record, key, header, value);
        PutRaw(Family.Data, key, record);
        HasChanges = true;
    }

    public void Delete(ReadOnlySpan<byte> key)
    {
        ThrowIfDisposed();
        DeleteRaw(Family.Data, key);
        HasChanges = true;
    }

    public void AppendChange(long revision, int part, ReadOnlySpan<byte> record)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfLessThan(revision, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(part);
        Span<byte> key = stackalloc byte[ChangelogRecord.KeyBytes];
        ChangelogRecord.EncodeKey(key, revision, part);
        Span<byte> value = Scratch(ChangelogRecord.HeaderBytes + record.Length);
        ChangelogRecord.Encode(value, key, record);
        PutRaw(Family.Changelog, key, value);
        HasChanges = true;
        ChangelogBytes += key.Length + value.Length;
        LastRevision = Math.Max(LastRevision, revision);
        FirstRevision = FirstRevision == 0 ? revision : Math.Min(FirstRevision, revision);
    }

    public void Dispose()
    {
        if (!_inUse) return;
        _inUse = false;
        giveBack(this);
    }

    internal void PutRaw(Family family, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        fixed (byte* k = key)
        fixed (byte* v = value)
            Rocks.rocksdb_writebatch_put_cf(Handle, database.Handle(family), k, (nuint)key.Length, v, (nuint)value.Length);
    }

    internal void DeleteRaw(Family family, ReadOnlySpan<byte> key)
    {
        fixed (byte* start = key)
            Rocks.rocksdb_writebatch_delete_cf(Handle, database.Handle(family), start, (nuint)key.Length);
    }

    internal void DeleteRange(Family family, ReadOnlySpan<byte> start, ReadOnlySpan<byte> end)
    {
        fixed (byte* first = start)
        fixed (byte* limit = end)
            Rocks.rocksdb_writebatch_delete_range_cf(Handle, database.Handle(family), first, (nuint)start.Length, limit, (nuint)end.Length);
    }

    /// <summary>Off the shelf: empty, ready for the next step.</summary>
    internal void Begin()
    {
        Rocks.rocksdb_writebatch_clear(Handle);
        HasChanges = false;
        ChangelogBytes = LastRevision = FirstRevision = 0;
        _inUse = true;
    }

    /// <summary>Small enough to be worth keeping for the next step.</summary>
    internal bool IsReusable()
    {
        _ = Rocks.rocksdb_writebatch_data(Handle, out nuint bytes);
        return bytes <= KeepBytes && _scratch.Length <= KeepBytes;
    }

    internal void Destroy() => Rocks.rocksdb_writebatch_destroy(Handle);

    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(!_inUse, this);

    private Span<byte> Scratch(int bytes)
    {
        if (_scratch.Length < bytes) _scratch = new byte[Math.Max(bytes, Math.Min(2 * _scratch.Length, KeepBytes))];
        return _scratch.AsSpan(0, bytes);
    }
}
