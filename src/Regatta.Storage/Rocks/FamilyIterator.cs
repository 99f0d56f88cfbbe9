using System.Runtime.InteropServices;
using RocksDbSharp;

namespace Regatta.Storage.Rocks;

/// <summary>
/// Walks one family forward from a first key. Owns its read options and the memory of its upper bound, which RocksDB points into: they
/// go after the iterator. The database must stay open until it is disposed. Not thread-safe.
/// </summary>
internal sealed unsafe class FamilyIterator : IDisposable
{
    private static readonly Native Rocks = Native.Instance;
    private readonly TableDatabase _database;
    private readonly nint _options;
    private readonly byte* _bound;
    private nint _iterator;
    private bool _started;

    /// <param name="snapshot">0: the newest state.</param>
    /// <param name="end">First key behind the range, if <paramref name="bounded"/>.</param>
    internal FamilyIterator(TableDatabase database, Family family, nint snapshot, ReadOnlySpan<byte> start, ReadOnlySpan<byte> end, bool bounded)
    {
        _database = database;
        _options = Rocks.rocksdb_readoptions_create();
        if (snapshot != 0) Rocks.rocksdb_readoptions_set_snapshot(_options, snapshot);
        if (bounded)
        {
            _bound = (byte*)NativeMemory.Alloc((nuint)Math.Max(end.Length, 1));
            end.CopyTo(new Span<byte>(_bound, end.Length));
            Rocks.rocksdb_readoptions_set_iterate_upper_bound(_options, _bound, (nuint)end.Length);
        }

        _iterator = database.NewIterator(family, _options);
        fixed (byte* first = start) Rocks.rocksdb_iter_seek(_iterator, first, (nuint)start.Length);
    }

    internal ReadOnlySpan<byte> Key
    {
        get
        {
            nint start = Rocks.rocksdb_iter_key(_iterator, out nuint length);
            return new ReadOnlySpan<byte>((void*)start, (int)length);
        }
    }

    internal ReadOnlySpan<byte> Value
    {
        get
        {
            nint start = Rocks.rocksdb_iter_value(_iterator, out nuint length);
            return new ReadOnlySpan<byte>((void*)start, checked((int)length));
        }
    }

    /// <summary>To the first, then to each next record. False at the end, which is told apart from an unreadable file.</summary>
    internal bool MoveNext()
    {
        ObjectDisposedException.ThrowIf(_iterator == 0, this);
        if (_started && Rocks.rocksdb_iter_valid(_iterator) != 0) Rocks.rocksdb_iter_next(_iterator);
        _started = true;
        if (Rocks.rocksdb_iter_valid(_iterator) != 0) return true;
        Rocks.rocksdb_iter_get_error(_iterator, out nint error);
        if (error != 0) RocksError.Throw(error, _database.Directory);
        return false;
    }

    /// <summary>The greatest key of a family; null if it is empty. Needs a reference on the database.</summary>
    internal static byte[]? LastKey(TableDatabase database, Family family)
    {
        using var records = new FamilyIterator(database, family, 0, default, default, bounded: false);
        Rocks.rocksdb_iter_seek_to_last(records._iterator);
        return records.MoveNext() ? records.Key.ToArray() : null;
    }

    public void Dispose()
    {
        if (_iterator == 0) return;
        Rocks.rocksdb_iter_destroy(_iterator);
        _iterator = 0;
        Rocks.rocksdb_readoptions_destroy(_options);
        NativeMemory.Free(_bound);
    }
}
