namespace Regatta.Raft;

/// <summary>One step of a round: a record to put, or a range of a group's records to delete. Steps take effect in order.</summary>
internal readonly struct LogOp
{
    private LogOp(long group, long index, long end, byte[]? record)
    {
        Group = group;
        Index = index;
        End = end;
        Record = record;
    }

    public long Group { get; }

    /// <summary>Index of the record, or the first one to delete.</summary>
    public long Index { get; }

    /// <summary>First index behind the range to delete.</summary>
    public long End { get; }

    /// <summary>The sealed record; null: a deletion.</summary>
    public byte[]? Record { get; }

    public static LogOp Put(long group, long index, byte[] record) => new(group, index, 0, record);

    public static LogOp Put(long group, HardState state) => new(group, LogKey.HardState, 0, state.Encode(group));

    /// <summary>Deletes <paramref name="from"/> up to and including <paramref name="to"/>.</summary>
    public static LogOp Delete(long group, long from, long to) => new(group, from, to + 1, null);
}
