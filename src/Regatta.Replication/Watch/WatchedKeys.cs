using Regatta.Core;

namespace Regatta.Replication;

/// <summary>What a watch is of.</summary>
/// <param name="WithPrevious">Each event is wanted with what it replaced.</param>
public readonly record struct WatchedKeys(KeyRange Range, bool WithPrevious);
