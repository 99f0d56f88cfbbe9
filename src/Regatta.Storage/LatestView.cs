using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>The newest state, for the writer. Each read counts itself as a user of the database, so that closing the store stays safe.</summary>
internal sealed class LatestView(TableDatabase database, TableStore store) : TableView(database)
{
    public override long Revision => store.Revision;

    protected override nint ReadOptions => Database.PointOptions;

    /// <summary>The store's own: nothing to release.</summary>
    public override void Dispose() { }

    protected override void Enter() => Database.AddReference();

    protected override void Leave() => Database.DangerousRelease();

    protected override void Release() { }
}
