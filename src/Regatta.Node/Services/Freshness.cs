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
    public static ValueTask AwaitAsync(RangeRequest request, ITableGroup group, CallDeadline deadline) =>
        AwaitAsync(request.Linearizable || request.Consistency != Consistency.Local || request.MaxStalenessMs > 0, request.MinRevision, group, deadline);

    /// <summary>For a transaction that only reads. Without a word it is SITE.</summary>
    /// <exception cref="RpcException">As above.</exception>
    public static ValueTask AwaitAsync(TxnRequest request, ITableGroup group, CallDeadline deadline) =>
        AwaitAsync(!request.HasConsistency || request.Consistency != Consistency.Local, request.MinRevision, group, deadline);

    public static async ValueTask BarrierAsync(ITableGroup group, CallDeadline deadline)
    {
        BarrierOutcome outcome = await group.ReadBarrierAsync(deadline.Token);
        if (!outcome.Succeeded)
            throw Failures.Barrier(outcome, deadline);
    }

    private static async ValueTask AwaitAsync(bool isBehindBarrier, ulong minRevision, ITableGroup group, CallDeadline deadline)
    {
        if (isBehindBarrier)
            await BarrierAsync(group, deadline);
        if ((long)minRevision > group.Reader.Revision)
            await RevisionAsync((long)minRevision, group, deadline);
    }

    private static async ValueTask RevisionAsync(long revision, ITableGroup group, CallDeadline deadline)
    {
        try
        {
            await group.WaitForRevisionAsync(revision, deadline.Token);
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            string missing = $"this node has revision {group.Reader.Revision} of the table, and min_revision or the session asks for {revision}";
            throw deadline.CallerIsGone
                ? deadline.Expired(missing)
                : new RpcException(new Status(StatusCode.Unavailable, missing + "; it did not come within the deadline"));
        }
    }
}
