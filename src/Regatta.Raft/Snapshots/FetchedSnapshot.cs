using Regatta.Core;

namespace Regatta.Raft;

/// <summary>A table's state that is whole on this node's disk, synced and checked, and not yet the table's.</summary>
/// <param name="Directory">Can be opened as a table; moved away by <see cref="SnapshotInstall"/>.</param>
/// <param name="LeaderTerm">The term of the node it came from when that was asked; at least that of <paramref name="Applied"/>.</param>
/// <param name="Files">Hash over what its files are.</param>
internal sealed record FetchedSnapshot(long Group, string Directory, AppliedState Applied, long LeaderTerm, UInt128 Files);
