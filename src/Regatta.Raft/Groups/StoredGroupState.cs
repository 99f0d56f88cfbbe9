using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>A table in RocksDB, in the group's directory or in a generation that has taken its place.</summary>
/// <param name="store">Taken over.</param>
/// <param name="generations">Where the states are that can take its place.</param>
internal sealed class StoredGroupState(TableStore store, TableGenerations generations, StorageEnvironment environment, ChangelogLimits limits) : IGroupState
{
    private readonly ReplaceableStore _store = new(store);
    private readonly Lock _exchange = new();
    private readonly List<TableStore> _former = [];

    public ITableStore Store => _store;

    public AppliedState Flushed => _store.Use(static store => store.Flushed);

    public long Bytes => _store.Use(static store => store.DiskBytes);

    public long OldestRevision => _store.Use(static store => store.OldestRevision);

    public string? BackgroundError => _store.Use(static store => store.BackgroundError);

    public void Flush() => _store.Use(static store =>
    {
        store.Flush();
        return true;
    });

    /// <summary>As <see cref="TableStore.Checkpoint"/>.</summary>
    public void Checkpoint(string directory) => _store.Use(store =>
    {
        store.Checkpoint(directory);
        return true;
    });

    public void TrimChangelog()
    {
        _store.Use(store => store.TrimChangelog(limits));
        Sweep();
    }

    public bool TryInstall(InstallCommand install, long index, long term)
    {
        string name = StagedState.NameOf(install.Files);
        string directory = generations.PathOf(name);
        lock (_exchange)
        {
            if (!Directory.Exists(directory))
                return false;
            TableStore.Rebase(directory, index, term, environment);
            TableStore next = TableStore.Open(directory, install.Incarnation, environment);
            try
            {
                if (next.Applied.Revision != install.Revision || next.Applied.Chain != install.Chain)
                    throw new InvalidDataException($"'{directory}' should hold revision {install.Revision} with chain hash {install.Chain}, and holds {next.Applied}.");
                generations.MakeCurrent(name);
            }
            catch
            {
                next.Dispose();
                throw;
            }

            _former.Add(_store.Replace(next));
            return true;
        }
    }

    /// <summary>Deletes states that the table has no use for, once nobody reads from them.</summary>
    public void Sweep()
    {
        lock (_exchange)
        {
            _former.RemoveAll(static former => former.IsClosed);
            if (_former.Count == 0)
                generations.Sweep(_store.Revision);
        }
    }

    public void Dispose() => _store.Dispose();
}
