using Regatta.Core;

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

    /// <summary>
    /// Puts the state of an installation in the place of the table's, durably: <see cref="Store"/> is as of the entry then, and readers are not kept waiting. Blocks while it does. By the
    /// applier alone.
    /// </summary>
    /// <returns>False: the state is not on this node.</returns>
    /// <exception cref="InvalidDataException">It is not what it should be. The node must stop.</exception>
    bool TryInstall(InstallCommand install, long index, long term);
}
