using Grpc.Core;
using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>
/// This node's hashes of its tables. One table's content at a time is read, as a whole; whoever waits for that already holds a view, since its moment does
/// not come again. Thread-safe.
/// </summary>
internal sealed class TableHashing(long nodeId)
{
    private static readonly Rejection GivenUp = new(
        StatusCode.DeadlineExceeded, "the deadline passed before the whole table was read; set a later one");

    private SemaphoreSlim Turn { get; } = new(1);

    /// <summary>Content and history at the end of the first log entry that ends at a revision or behind it, which is waited for.</summary>
    public async Task<NodeHashes> HashAsync(ServedTable table, long revision, CancellationToken deadline)
    {
        ExactView? moment;
        try
        {
            moment = await table.Group.OpenViewAsync(revision, deadline);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return Missing(table, revision);
        }

        if (moment is null)
            return Failed(revision, Past(table.Group.Reader.Revision, revision));
        using (moment)
            return await ReadAsync(moment, deadline);
    }

    /// <summary>The history up to exactly a revision, which is waited for; not the content.</summary>
    public async Task<NodeHashes> ChainAsync(ServedTable table, long revision, CancellationToken deadline)
    {
        try
        {
            await table.Group.WaitForRevisionAsync(revision, deadline);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return Missing(table, revision);
        }

        ChainRead chain = table.Group.Reader.ReadChain(revision);
        return chain.Found ? new NodeHashes(nodeId, revision, null, chain.Chain, null) : Failed(revision, Compacted(revision, chain.Oldest));
    }

    private async Task<NodeHashes> ReadAsync(ExactView moment, CancellationToken deadline)
    {
        long revision = moment.View.Revision;
        try
        {
            await Turn.WaitAsync(deadline);
            try
            {
                return new NodeHashes(nodeId, revision, await Task.Run(() => TableHash.Of(moment.View, deadline), deadline), moment.Chain, null);
            }
            finally
            {
                Turn.Release();
            }
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return Failed(revision, GivenUp);
        }
    }

    private static Rejection Past(long now, long revision) => new(
        StatusCode.OutOfRange, $"this node has passed revision {revision} of the table, it is at {now}");

    private static Rejection Compacted(long revision, long oldest) => Rejection.Precondition(
        $"revision {revision} is too old: this node's changelog begins with revision {oldest}; ask for that or a later one, or for 0, the newest");

    private NodeHashes Missing(ServedTable table, long revision) => Failed(revision, new Rejection(
        StatusCode.Unavailable,
        $"this node has revision {table.Group.Reader.Revision} of the table, {revision} was asked for; it did not come within the deadline"));

    private NodeHashes Failed(long revision, Rejection failure) => NodeHashes.Failed(nodeId, revision, failure);
}
