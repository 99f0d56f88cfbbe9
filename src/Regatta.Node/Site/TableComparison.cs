using Grpc.Core;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>
/// Has all nodes hash a table at one revision, also while it is written to: see decision 0009. Failures of single nodes are in their answers. Thread-safe.
/// </summary>
internal sealed class TableComparison(ISiteCalls site, TimeProvider time)
{
    private const int MostTries = 8;

    // If writes end just when a revision was chosen that is still to come, this is what the caller loses by it.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>At the newest revision, or one soon after it if nodes pass that before all are asked.</summary>
    /// <exception cref="RpcException">There is no leader to say which is the newest, or nodes have passed every revision that was tried.</exception>
    public async Task<NodeHashes[]> AtNewestAsync(ServedTable table, CallDeadline deadline)
    {
        long before = 0;
        bool isPast = false;
        for (int tries = 0; tries < MostTries; tries++)
        {
            await Freshness.BarrierAsync(table.Group, deadline);
            long newest = table.Group.Reader.Revision;
            // What came during one try is about what comes until all nodes are asked once more; then twice, four times as much.
            long margin = isPast ? Math.Max(1, newest - before) << tries : 0;
            before = newest;
            (NodeHashes[] nodes, bool isLate) = await AskAsync(table, newest + margin, Patience, deadline.Token);
            isPast = nodes.Any(node => node.IsPast);
            if (!isPast && !isLate)
                return nodes;
        }

        throw new RpcException(new Status(
            StatusCode.Unavailable,
            $"the table is written to faster than all nodes can be asked for one revision: {MostTries} were tried, the last of them behind revision {before}; try again"));
    }

    /// <summary>
    /// At the first revision from <paramref name="revision"/> on with which a log entry ends; if a node has passed it, the history up to exactly
    /// <paramref name="revision"/> and not the content.
    /// </summary>
    public async Task<NodeHashes[]> AtAsync(ServedTable table, long revision, CancellationToken deadline)
    {
        if (revision >= table.Group.Reader.Revision)
        {
            (NodeHashes[] nodes, _) = await AskAsync(table, revision, Timeout.InfiniteTimeSpan, deadline);
            if (!nodes.Any(node => node.IsPast))
                return nodes;
        }

        return await Task.WhenAll(site.Members.Select(node => site.ChainAsync(node, table, revision, deadline)));
    }

    /// <summary>All nodes' answers; as soon as one has passed the revision the others are stopped: they would read their tables in vain.</summary>
    private async Task<(NodeHashes[] Nodes, bool IsLate)> AskAsync(ServedTable table, long revision, TimeSpan patience, CancellationToken deadline)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(deadline);
        Task<NodeHashes>[] answers = [.. site.Members.Select(node => site.HashAsync(node, table, revision, stop.Token))];
        Task<bool> lateness = StopIfLateAsync(table.Group, revision, patience, stop);
        await foreach (Task<NodeHashes> answer in Task.WhenEach(answers))
        {
            if (!answer.IsCompletedSuccessfully || (await answer).IsPast)
                await stop.CancelAsync();
        }

        await stop.CancelAsync();
        return (await Task.WhenAll(answers), await lateness);
    }

    private async Task<bool> StopIfLateAsync(ITableGroup group, long revision, TimeSpan patience, CancellationTokenSource stop)
    {
        using CancellationTokenSource late = new(patience, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stop.Token);
        try
        {
            await group.WaitForRevisionAsync(revision, either.Token);
            return false;
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            bool isLate = !stop.IsCancellationRequested;
            await stop.CancelAsync();
            return isLate;
        }
    }
}
