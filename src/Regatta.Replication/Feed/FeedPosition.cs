using Regatta.Core;

namespace Regatta.Replication;

/// <summary>Where a follower is in a table's history, and which history that is.</summary>
/// <param name="Next">The first revision that it wants, 1 or more.</param>
/// <param name="Incarnation">Null: it does not know of incarnations (the Go project), and gets what it asks for.</param>
/// <param name="Chain">The chain hash at the revision before <paramref name="Next"/>; null: not compared. Not looked at without an incarnation, nor before the first revision.</param>
public readonly record struct FeedPosition(long Next, Incarnation? Incarnation, ChainHash? Chain);
