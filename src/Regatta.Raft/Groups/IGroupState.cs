using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>The table's state as its group needs it: what is applied to, and what of it is on disk. Tests put a state in memory here, to crash it.</summary>
internal interface IGroupState : IDisposable
{
    ITableStore Store { get; }

    /// <summary>Read back from disk. The log may be cut below it.</summary>
    AppliedState Flushed { get; }

    /// <summary>Estimated bytes on disk and in write buffers.</summary>
    long Bytes { get; }

    /// <summary>0 when the changelog is empty.</summary>
    long OldestRevision { get; }

    /// <summary>A sentence when RocksDB failed in the background: the node must stop.</summary>
    string? BackgroundError { get; }

    /// <summary>Brings the state to disk; blocks while it does.</summary>
    void Flush();

    void TrimChangelog();
}

/// <summary>A table in RocksDB.</summary>
internal sealed class StoredGroupState(TableStore store, ChangelogLimits limits) : IGroupState
{
    public ITableStore Store => store;

    public AppliedState Flushed => store.Flushed;

    public long Bytes => store.DiskBytes;

    public long OldestRevision => store.OldestRevision;

    public string? BackgroundError => store.BackgroundError;

    public void Flush() => store.Flush();

    public void TrimChangelog() => store.TrimChangelog(limits);

    public void Dispose() => store.Dispose();
}
