using Grpc.Core;
using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>
/// This node's hashes of its tables. The content is hashed if the node stands exactly at the revision when its view is taken; a table that is written to
/// may have moved past it, and then the chain hash from the changelog is all there is. One table at a time: each is read as a whole.
/// </summary>
internal sealed class TableHashing(long nodeId)
{
    private static readonly Rejection GivenUp = new(
        StatusCode.DeadlineExceeded, "the deadline passed before the whole table was read; set a later one");

    private SemaphoreSlim Turn { get; } = new(1);

    /// <summary>Waits for a revision that is still to come.</summary>
    public async Task<NodeHashes> HashAsync(ServedTable table, long revision, CancellationToken deadline)
    {
        ITableGroup group = table.Group;
        try
        {
            await group.WaitForRevisionAsync(revision, deadline);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return Failed(revision, new Rejection(
                StatusCode.Unavailable,
                $"this node has revision {group.Reader.Revision} of the table, {revision} was asked for; it did not come within the deadline"));
        }

        try
        {
            return await TakeTurnAsync(group.Reader, revision, deadline);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return Failed(revision, GivenUp);
        }
    }

    private async Task<NodeHashes> TakeTurnAsync(ITableReader reader, long revision, CancellationToken deadline)
    {
        // Before the view is taken: whoever waits holds nothing open.
        await Turn.WaitAsync(deadline);
        try
        {
            using ITableView view = reader.OpenView();
            ChainRead chain = reader.ReadChain(revision);
            if (!chain.Found)
                return Failed(revision, Compacted(revision, chain.Oldest));
            TableHash? content = view.Revision == revision ? await Task.Run(() => TableHash.Of(view, deadline), deadline) : null;
            return new NodeHashes(nodeId, revision, content, chain.Chain, null);
        }
        finally
        {
            Turn.Release();
        }
    }

    private static Rejection Compacted(long revision, long oldest) => Rejection.Precondition(
        $"revision {revision} is too old: this node's changelog begins with revision {oldest}; ask for that or a later one, or for 0, the newest");

    private NodeHashes Failed(long revision, Rejection failure) => NodeHashes.Failed(nodeId, revision, failure);
}
