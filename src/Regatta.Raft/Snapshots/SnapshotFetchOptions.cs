namespace Regatta.Raft;

/// <summary>How a node fetches snapshots.</summary>
internal sealed record SnapshotFetchOptions
{
    /// <summary>Bytes of one read; 1 to <see cref="SnapshotReadRequest.MaxCount"/>.</summary>
    public int ChunkBytes { get; init; } = SnapshotReadRequest.MaxCount;

    /// <summary>Reads that are under way at a time: hides the round trip. What is under way when the connection breaks is read again.</summary>
    public int ReadsInFlight { get; init; } = 4;

    /// <summary>
    /// Time after which a call without an answer fails. The other node may be limiting its rate, or still reading a large table when it is
    /// asked for a snapshot: then the next request joins in.
    /// </summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Times that a read whose reply is damaged, or a file that is not what it should be, is fetched again before the fetch fails.</summary>
    public int MaxRepeats { get; init; } = 3;

    /// <summary>Times that another snapshot is asked for in one run because the former one is gone.</summary>
    public int MaxOpens { get; init; } = 3;
}
