using Regatta.Core;

namespace Regatta.Replication;

/// <summary>A revision that is watched, and where it stands in its history.</summary>
/// <param name="Before">The chain hash at the revision before; null: it is not known.</param>
/// <param name="Chain">The chain hash at this one.</param>
public sealed record WatchedRevision(long Number, ChainHash? Before, ChainHash Chain);
