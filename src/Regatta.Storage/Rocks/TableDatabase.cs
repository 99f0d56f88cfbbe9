using System.Runtime.InteropServices;
using RocksDbSharp;

namespace Regatta.Storage.Rocks;

/// <summary>The families of a table's database.</summary>
internal enum Family
{
    Data = 0,
    Changelog = 1,
    Meta = 2,
}

/// <summary>
/// One open RocksDB. Counts its users: disposing it keeps new ones out, and the last one to leave closes it, so that no native
/// object is ever used after it is gone. Members marked as such must be called under a <see cref="Lease"/> or a counted reference.
/// </summary>
internal sealed unsafe class TableDatabase : SafeHandle
{
    private const int PersistedTier = 2;
    private static readonly Native Rocks = Native.Instance;
    private readonly nint[] _families;
    private readonly nint _writeOptions;
    private readonly nint _flushOptions;
    private readonly nint _persistedOptions;
    private volatile bool _isReleased;

    private TableDatabase(nint database, nint[] families, string directory) : base(0, ownsHandle: true)
    {
        _families = families;
        Directory = directory;
        PointOptions = Rocks.rocksdb_readoptions_create();
        _persistedOptions = Rocks.rocksdb_readoptions_create();
        Rocks.rocksdb_readoptions_set_read_tier(_persistedOptions, PersistedTier);
        _writeOptions = Rocks.rocksdb_writeoptions_create();
        Rocks.rocksdb_writeoptions_disable_WAL(_writeOptions, 1);
        _flushOptions = Rocks.rocksdb_flushoptions_create();
        Rocks.rocksdb_flushoptions_set_wait(_flushOptions, 1);
        SetHandle(database);
    }

    internal string Directory { get; }

    /// <summary>RocksDB has let go of its files. <see cref="SafeHandle.IsClosed"/> says so before it has.</summary>
    internal bool IsReleased => _isReleased;

    /// <summary>Read options without a snapshot, never changed: any number of threads may use them.</summary>
    internal nint PointOptions { get; }

    public override bool IsInvalid => handle == 0;

    /// <param name="create">True: the directory must hold no database; false: it must hold a whole one.</param>
    internal static TableDatabase Open(string directory, StorageEnvironment environment, bool create) => environment.Share(shared =>
    {
        using var options = new TableDatabaseOptions(shared, environment.Options, create);
        nint[] families = new nint[TableDatabaseOptions.FamilyNames.Length];
        nint database = Rocks.rocksdb_open_column_families(
            options.Database, directory, families.Length, TableDatabaseOptions.FamilyNames, options.Families, families, out nint error);
        if (error != 0) throw RocksError.OfOpen(RocksError.Text(error), directory);
        return new TableDatabase(database, families, directory);
    });

    /// <summary>Keeps the database open until disposed.</summary>
    /// <exception cref="ObjectDisposedException">It is closed.</exception>
    internal DatabaseLease Lease()
    {
        AddReference();
        return new DatabaseLease(this);
    }

    /// <summary>As <see cref="Lease"/>, for references that outlive a method; ended by <see cref="SafeHandle.DangerousRelease"/>.</summary>
    internal void AddReference()
    {
        bool added = false;
        try
        {
            DangerousAddRef(ref added);
        }
        catch (ObjectDisposedException)
        {
            throw new ObjectDisposedException(nameof(TableStore), $"The table store in {Directory} is closed.");
        }
    }

    /// <summary>Needs a reference.</summary>
    internal PinnedValue Get(Family family, nint readOptions, ReadOnlySpan<byte> key)
    {
        fixed (byte* start = key)
        {
            nint slice = Rocks.rocksdb_get_pinned_cf(handle, readOptions, Handle(family), start, (nuint)key.Length, out nint error);
            if (error != 0) RocksError.Throw(error, Directory);
            return new PinnedValue(slice);
        }
    }

    /// <summary>Reads what is on disk, past everything unflushed. Needs a reference.</summary>
    internal PinnedValue GetPersisted(Family family, ReadOnlySpan<byte> key) => Get(family, _persistedOptions, key);

    /// <summary>Needs a reference; the caller destroys the iterator, then the options.</summary>
    internal nint NewIterator(Family family, nint readOptions) => Rocks.rocksdb_create_iterator_cf(handle, readOptions, Handle(family));

    internal nint NewSnapshot() => Rocks.rocksdb_create_snapshot(handle);

    internal void ReleaseSnapshot(nint snapshot) => Rocks.rocksdb_release_snapshot(handle, snapshot);

    /// <summary>Writes a batch without the WAL. Needs a reference.</summary>
    internal void Write(nint batch)
    {
        Rocks.rocksdb_write(handle, _writeOptions, batch, out nint error);
        if (error != 0) RocksError.Throw(error, Directory);
    }

    /// <summary>Brings all families to disk in one atomic step and waits for it. Needs a reference.</summary>
    internal void Flush()
    {
        Rocks.rocksdb_flush_cfs(handle, _flushOptions, _families, _families.Length, out nint error);
        if (error != 0) RocksError.Throw(error, Directory);
    }

    /// <summary>Needs a reference.</summary>
    internal void Checkpoint(string directory)
    {
        nint checkpoint = Rocks.rocksdb_checkpoint_object_create(handle, out nint error);
        if (error != 0) RocksError.Throw(error, Directory);
        Rocks.rocksdb_checkpoint_create(checkpoint, directory, 0, out error);
        Rocks.rocksdb_checkpoint_object_destroy(checkpoint);
        if (error != 0) RocksError.Throw(error, Directory);
    }

    /// <summary>Removes files that hold nothing outside [start, end): durable at once. Needs a reference.</summary>
    internal void DeleteFiles(Family family, ReadOnlySpan<byte> start, ReadOnlySpan<byte> end)
    {
        fixed (byte* first = start)
        fixed (byte* limit = end)
        {
            Rocks.rocksdb_delete_file_in_range_cf(handle, Handle(family), first, (nuint)start.Length, limit, (nuint)end.Length, out nint error);
            if (error != 0) RocksError.Throw(error, Directory);
        }
    }

    /// <summary>Reads every block of every file. Needs a reference.</summary>
    internal void VerifyChecksums()
    {
        Rocks.rocksdb_verify_checksum(handle, out nint error);
        if (error != 0) RocksError.Throw(error, Directory);
    }

    /// <summary>A number that RocksDB keeps. Needs a reference.</summary>
    internal long Property(Family family, string name)
    {
        ulong value = 0;
        if (Rocks.rocksdb_property_int_cf(handle, Handle(family), name, (nint)(&value)) != 0)
            throw new InvalidOperationException($"RocksDB does not know the property {name}");
        return (long)value;
    }

    internal nint Handle(Family family) => _families[(int)family];

    protected override bool ReleaseHandle()
    {
        foreach (nint family in _families) Rocks.rocksdb_column_family_handle_destroy(family);
        Rocks.rocksdb_close(handle);
        Rocks.rocksdb_readoptions_destroy(PointOptions);
        Rocks.rocksdb_readoptions_destroy(_persistedOptions);
        Rocks.rocksdb_writeoptions_destroy(_writeOptions);
        Rocks.rocksdb_flushoptions_destroy(_flushOptions);
        _isReleased = true;
        return true;
    }
}

/// <summary>A counted use of an open database within one method.</summary>
internal readonly ref struct DatabaseLease(TableDatabase database)
{
    public void Dispose() => database.DangerousRelease();
}
