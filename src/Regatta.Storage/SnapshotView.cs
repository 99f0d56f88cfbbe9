using Regatta.Storage.Rocks;
using RocksDbSharp;

namespace Regatta.Storage;

/// <summary>One moment of a table. Keeps the database open until it is disposed, also when the store is closed meanwhile.</summary>
internal sealed class SnapshotView : TableView
{
    private static readonly Native Rocks = Native.Instance;
    private readonly nint _readOptions;
    private long _revision;

    /// <summary>The revision is set by <see cref="ShowRevision"/> before anybody sees the view.</summary>
    internal SnapshotView(TableDatabase database) : base(database)
    {
        database.AddReference();
        Snapshot = database.NewSnapshot();
        _readOptions = Rocks.rocksdb_readoptions_create();
        Rocks.rocksdb_readoptions_set_snapshot(_readOptions, Snapshot);
    }

    public override long Revision => _revision;

    internal override nint Snapshot { get; }

    protected override nint ReadOptions => _readOptions;

    public override void Dispose() => ReleaseWhenUnused();

    internal void ShowRevision(long revision) => _revision = revision;

    /// <summary>The revision as the snapshot itself has it.</summary>
    internal long StoredRevision() => StoredState.Read(Database, _readOptions).Revision;

    // The view itself is the counted user.
    protected override void Enter() => ThrowIfReleased();

    protected override void Leave() { }

    protected override void Release()
    {
        Rocks.rocksdb_readoptions_destroy(_readOptions);
        Database.ReleaseSnapshot(Snapshot);
        Database.DangerousRelease();
    }
}
