using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>How a node keeps its groups.</summary>
public sealed record GroupHostOptions
{
    public RaftLogOptions Log { get; init; } = new();

    public GroupOptions Groups { get; init; } = new();

    public StorageOptions Storage { get; init; } = StorageOptions.Default;

    public ChangelogLimits Changelog { get; init; } = ChangelogLimits.Unlimited;

    /// <summary>Null: a site of one node.</summary>
    public SiteOptions? Site { get; init; }

    /// <summary>Bytes per second of tables' files that this node gives to others, of its site and of follower sites; 0: unlimited.</summary>
    public long SnapshotBytesPerSecond { get; init; }

    /// <summary>A directory into which is written what the groups do, see <see cref="GroupTrace"/>; null: nothing is.</summary>
    public string? TracePath { get; init; }

    /// <summary>Is told what the start waits for.</summary>
    public StartProgress Progress { get; init; } = new();

    /// <summary>Free bytes on the data directory's disk below which writes are refused; 0 turns the check off.</summary>
    public long LowWaterBytes { get; init; } = 256L << 20;

    /// <summary>How often free space is measured. At full speed a node writes about 100 MB/s, several times over with compaction: see <see cref="LowWaterBytes"/>.</summary>
    public TimeSpan RoomInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How often it is seen to that unflushed writes stay within <see cref="StorageOptions.WriteBufferBytes"/>.</summary>
    public TimeSpan MemoryInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How often each group is looked at: whether to flush, to cut, to trim, and whether it is alive.</summary>
    public TimeSpan MaintenanceInterval { get; init; } = TimeSpan.FromSeconds(1);
}
