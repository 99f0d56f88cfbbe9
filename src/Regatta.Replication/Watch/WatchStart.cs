using Regatta.Core;

namespace Regatta.Replication;

/// <summary>Where a watch begins.</summary>
/// <param name="Revision">The first one that is wanted, 1 or more; it may be ahead of the table.</param>
/// <param name="Skip">How many events of that revision to leave out: they came already.</param>
/// <param name="Chain">The chain hash at the revision before, as far as it is known: in another history the watch ends.</param>
public readonly record struct WatchStart(long Revision, long Skip, ChainHash? Chain);
