using Grpc.Core;
using Regatta.Protocol.V1;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>
/// Waits until a node's state is as recent as a read asks for. At the leader site GLOBAL is SITE, and a bound on staleness is met by a
/// barrier: the state is then not stale at all.
/// </summary>
internal static class Freshness
{
    /// <summary>The read can be answered from the present state, at once.</summary>
    public static bool IsLocal(RangeRequest request) =>
        !request.Linearizable && request.Consistency == Consistency.Local && request.MinRevision == 0 && request.MaxStalenessMs == 0;

    /// <exception cref="RpcException">It cannot be had, or not before the deadline.</exception>
    public static async ValueTask AwaitAsync(RangeRequest request, ITableGroup group, CallDeadline deadline)
    {
        if (request.Linearizable || request.Consistency != Consistency.Local || request.MaxStalenessMs > 0)
            await BarrierAsync(group, deadline);
        if ((long)request.MinRevision > group.Reader.Revision)
            await RevisionAsync((long)request.MinRevision, group, deadline);
    }

    public static async ValueTask BarrierAsync(ITableGroup group, CallDeadline deadline)
    {
        BarrierOutcome outcome = await group.ReadBarrierAsync(deadline.Token);
        if (!outcome.Succeeded)
            throw Failures.Barrier(outcome, deadline);
    }

    private static async ValueTask RevisionAsync(long revision, ITableGroup group, CallDeadline deadline)
    {
        try
        {
            await group.WaitForRevisionAsync(revision, deadline.Token);
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            string missing = $"this node has revision {group.Reader.Revision} of the table, min_revision asks for {revision}";
            throw deadline.CallerIsGone
                ? deadline.Expired(missing)
                : new RpcException(new Status(StatusCode.Unavailable, missing + "; it did not come within the deadline"));
        }
    }
}
