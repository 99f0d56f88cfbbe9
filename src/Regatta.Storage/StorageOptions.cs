namespace Regatta.Storage;

/// <summary>
/// What the tables of one node share. The defaults suit a small machine: with them the caches and buffers of all tables together stay
/// near 130 MiB, however many tables there are.
/// </summary>
public sealed record StorageOptions
{
    private const long MiB = 1 << 20;

    public static StorageOptions Default { get; } = new();

    /// <summary>Bytes of file blocks kept uncompressed in memory, index and filter blocks included. 1 MiB to 1 TiB.</summary>
    public long BlockCacheBytes { get; init; } = 64 * MiB;

    /// <summary>Bytes of unflushed writes over all tables at which their owner is to flush the fullest and oldest. 1 MiB to 1 TiB. At twice as much each table is flushed that writes.</summary>
    public long WriteBufferBytes { get; init; } = 64 * MiB;

    /// <summary>Bytes of unflushed writes at which one table is flushed by itself. 64 KiB to 4 GiB.</summary>
    public long TableWriteBufferBytes { get; init; } = 32 * MiB;

    /// <summary>Bytes of a data block in a file: what one uncached point read costs. 1 KiB to 1 MiB.</summary>
    public int BlockBytes { get; init; } = 8 << 10;

    /// <summary>Bits per key of the filters that spare reads of absent keys the disk; 10 lets 1 % through. 1 to 30.</summary>
    public int FilterBitsPerKey { get; init; } = 10;

    /// <summary>Threads that compact, shared by all tables (and by all nodes of this process). 1 to 64.</summary>
    public int CompactionThreads { get; init; } = 2;

    /// <summary>Threads that flush, shared likewise. 1 to 64.</summary>
    public int FlushThreads { get; init; } = 1;

    /// <summary>Bytes of changelog between two positions that trimming by bytes or age can cut at. 1 KiB to 1 GiB.</summary>
    public long ChangelogMarkBytes { get; init; } = MiB;

    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range.</exception>
    internal void Validate()
    {
        Check(BlockCacheBytes, MiB, MiB << 20, nameof(BlockCacheBytes));
        Check(WriteBufferBytes, MiB, MiB << 20, nameof(WriteBufferBytes));
        Check(TableWriteBufferBytes, 64 << 10, 4L << 30, nameof(TableWriteBufferBytes));
        Check(BlockBytes, 1 << 10, 1 << 20, nameof(BlockBytes));
        Check(FilterBitsPerKey, 1, 30, nameof(FilterBitsPerKey));
        Check(CompactionThreads, 1, 64, nameof(CompactionThreads));
        Check(FlushThreads, 1, 64, nameof(FlushThreads));
        Check(ChangelogMarkBytes, 1 << 10, 1 << 30, nameof(ChangelogMarkBytes));
    }

    private static void Check(long value, long least, long most, string name)
    {
        if (value < least || value > most) throw new ArgumentOutOfRangeException(name, value, $"must be between {least} and {most}");
    }
}
