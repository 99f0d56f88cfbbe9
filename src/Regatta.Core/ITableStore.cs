namespace Regatta.Core;

/// <summary>
/// Where a table's state lives. One writer at a time (the applier of the table's Raft group); readers on any thread.
/// </summary>
public interface ITableStore : ITableReader
{
    /// <summary>How far the state is. Only the writer may rely on it staying so.</summary>
    AppliedState Applied { get; }

    /// <summary>The newest state, for the writer: sees each <see cref="Write"/> at once and takes no snapshot. Not to be disposed by the caller.</summary>
    ITableView Latest { get; }

    /// <summary>An empty batch; the writer disposes it.</summary>
    ITableBatch NewBatch();

    /// <summary>Makes the batch and <paramref name="next"/> visible in one atomic step. Throws on a failed write: the node must stop then.</summary>
    void Write(ITableBatch batch, in AppliedState next);
}

/// <summary>Reads from any thread.</summary>
public interface ITableReader
{
    /// <summary>The newest revision that readers see. Never goes back.</summary>
    long Revision { get; }

    /// <summary>
    /// One key, with a revision at which the answer is the table's state: no snapshot is taken.
    /// </summary>
    PointRead Get(ReadOnlySpan<byte> key, bool withValue);

    /// <summary>A consistent view of the newest state; holds resources until disposed.</summary>
    ITableView OpenView();

    /// <summary>The chain hash at a revision that readers see: from the state if it is the newest, else from the changelog.</summary>
    /// <param name="revision">From 0 to <see cref="Revision"/>.</param>
    ChainRead ReadChain(long revision);

    /// <summary>The changelog from a revision on: the effects of each.</summary>
    /// <param name="from">1 or more; ahead of <see cref="Revision"/> is fine.</param>
    /// <param name="withParts">Also the keys that range deletes removed, in the records that follow the one with the effects.</param>
    IChangeReader OpenChanges(long from, bool withParts);
}

/// <param name="Revision">At this revision the key was as described.</param>
/// <param name="Found">False: the key did not exist, the rest is default.</param>
public readonly record struct PointRead(long Revision, bool Found, RecordHeader Header, ReadOnlyMemory<byte> Value);

/// <param name="Found">False: the changelog does not reach back so far any more, the hash is default.</param>
/// <param name="Chain">Default at revision 0, too: before the first command there is no history.</param>
/// <param name="Oldest">The least revision from 1 up that has an answer; 0 as long as the table is at revision 0.</param>
public readonly record struct ChainRead(bool Found, ChainHash Chain, long Oldest);

/// <summary>The writes of one atomic step, in order. Not thread-safe.</summary>
public interface ITableBatch : IDisposable
{
    void Put(ReadOnlySpan<byte> key, in RecordHeader header, ReadOnlySpan<byte> value);

    void Delete(ReadOnlySpan<byte> key);

    /// <summary>Adds to the changelog.</summary>
    /// <param name="revision">Revision the record belongs to.</param>
    /// <param name="part">0 for the record itself; from 1 up for the keys that its range deletes removed.</param>
    /// <param name="record">Encoded by <c>ChangeCodec</c>.</param>
    void AppendChange(long revision, int part, ReadOnlySpan<byte> record);
}
