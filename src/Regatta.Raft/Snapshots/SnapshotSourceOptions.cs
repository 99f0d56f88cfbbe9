namespace Regatta.Raft;

/// <summary>How a node serves snapshots.</summary>
internal sealed record SnapshotSourceOptions
{
    /// <summary>A younger snapshot is given to the next node that asks, if it holds enough; an older one only if there is no room for another.</summary>
    public TimeSpan ShareAge { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A snapshot that nobody has read for this long is removed: who wanted it is gone, and its files hold disk that compaction has freed.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Snapshots of all groups that are there at a time.</summary>
    public int MaxOpen { get; init; } = 3;

    /// <summary>Bytes of files per second over all snapshots; 0: unlimited.</summary>
    public long BytesPerSecond { get; init; }
}
