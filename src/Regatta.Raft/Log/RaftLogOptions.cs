namespace Regatta.Raft;

/// <summary>How the node's one log database is kept. Every value has a default that suits a production node.</summary>
public sealed record RaftLogOptions
{
    /// <summary>
    /// Bytes of one write buffer; up to <see cref="WriteBuffers"/> of them exist while flushes lag behind. Memory is taken as it fills,
    /// so an idle node pays nothing. 64 MiB keeps a loaded node's memory low; 256 MiB writes less (fewer flushes of entries
    /// that are cut soon after); 16 MiB doubles p99 and the bytes written.
    /// </summary>
    public long WriteBufferBytes { get; init; } = 64L << 20;

    /// <summary>Write buffers, full ones that wait for their flush included. At least 2.</summary>
    public int WriteBuffers { get; init; } = 4;

    /// <summary>Bytes of write-ahead log before RocksDB flushes by itself: bounds the time to open after a crash.</summary>
    public long MaxTotalWalBytes { get; init; } = 512L << 20;

    /// <summary>Bytes of block cache; entries that a peer or the applier needs are nearly always in memory already.</summary>
    public long BlockCacheBytes { get; init; } = 8L << 20;

    /// <summary>Bytes of entries that may wait for their sync, over all groups; proposals beyond it wait in their group's batcher.</summary>
    public long MaxPendingBytes { get; init; } = 64L << 20;

    /// <summary>Bytes of the newest entries of one group that are kept in memory for the applier and for peers.</summary>
    public long TailCacheBytes { get; init; } = 4L << 20;
}
