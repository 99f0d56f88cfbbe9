using Grpc.Core;
using Regatta.Protocol.V1;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// Waits until a node's state is as recent as a read asks for, and says how recent it is then. At the leader site GLOBAL is SITE. A bound on staleness is met by what is here, else by finding out
/// anew: at the leader site by a barrier, at a follower site by a probe.
/// </summary>
/// <param name="probe">Null: this is the leader site.</param>
/// <param name="isKnown">False: nobody can tell how stale the state is, for the leader site is one of the Go project.</param>
internal sealed class Freshness(LeaderProbe? probe, bool isKnown, StalenessTrailers trailers, TimeProvider time)
{
    private static readonly Rejection NotKnown = new(
        StatusCode.Unimplemented, "the leader site is one of the Go project, which does not say how recent its answers are, so max_staleness_ms cannot be met here; use min_revision or consistency GLOBAL");

    /// <summary>The read can be answered from the present state, at once.</summary>
    public static bool IsHere(RangeRequest request, ServedTable table) =>
        !request.Linearizable && request.Consistency == Consistency.Local
        && (request.MinRevision == 0 || (long)request.MinRevision <= table.Group.Reader.Revision)
        && request.MaxStalenessMs == 0;

    public static async ValueTask BarrierAsync(ITableGroup group, CallDeadline deadline)
    {
        BarrierOutcome outcome = await group.ReadBarrierAsync(deadline.Token);
        if (!outcome.Succeeded)
            throw Failures.Barrier(outcome, deadline);
    }

    /// <summary>The table as it is now is at most so stale.</summary>
    public bool IsMet(ulong maxStaleness, ServedTable table) => Staleness(table) is { } staleness && staleness.TotalMilliseconds <= maxStaleness;

    /// <summary>Reads what is as recent as it was asked for, still when it has been read: the process may have been stopped meanwhile. Then it is read again, behind what is found out anew.</summary>
    /// <exception cref="RpcException">It cannot be had, or not before the deadline.</exception>
    public async ValueTask<FreshRead<T>> ReadAsync<T>(RangeRequest request, ServedTable table, CallDeadline deadline, Func<T> read)
    {
        long came = time.GetTimestamp();
        while (true)
        {
            long moment = await AwaitAsync(request, table, deadline);
            T what = read();
            TimeSpan? staleness = trailers.Since(moment);
            if (IsWithin(request, came, moment, staleness))
                return new FreshRead<T>(what, staleness);
        }
    }

    /// <summary>What was read behind a moment is as recent as it was asked for by a call that came then.</summary>
    public bool IsWithin(RangeRequest request, long came, long moment) => IsWithin(request, came, moment, trailers.Since(moment));

    /// <returns>What is read from now on has everything that was committed before this moment, see <see cref="TableFreshness.Moment"/>.</returns>
    /// <exception cref="RpcException">What is asked for cannot be had, or not before the deadline.</exception>
    public async ValueTask<long> AwaitAsync(RangeRequest request, ServedTable table, CallDeadline deadline)
    {
        await ThroughAsync(request.Linearizable || request.Consistency != Consistency.Local, request.MinRevision, table, deadline);
        if (request.MaxStalenessMs > 0)
            await StalenessAsync(request.MaxStalenessMs, table, deadline);
        return table.Fresh.Moment;
    }

    /// <summary>For a transaction that only reads. Without a word it is SITE.</summary>
    /// <returns>As above.</returns>
    /// <exception cref="RpcException">As above.</exception>
    public async ValueTask<long> AwaitAsync(TxnRequest request, ServedTable table, CallDeadline deadline)
    {
        await ThroughAsync(!request.HasConsistency || request.Consistency != Consistency.Local, request.MinRevision, table, deadline);
        return table.Fresh.Moment;
    }

    /// <summary>Tells the client, in the reply's trailers, how stale what it gets is.</summary>
    /// <param name="moment">From before the state was read.</param>
    public void Tell(ServerCallContext context, long moment) => trailers.Tell(context, trailers.Since(moment));

    public void Tell<T>(ServerCallContext context, in FreshRead<T> read) => trailers.Tell(context, read.Staleness);

    private static bool IsWithin(RangeRequest request, long came, long moment, TimeSpan? staleness) =>
        request.MaxStalenessMs == 0 || moment >= came || staleness?.TotalMilliseconds <= request.MaxStalenessMs;

    private async ValueTask ThroughAsync(bool isBehindBarrier, ulong minRevision, ServedTable table, CallDeadline deadline)
    {
#if DEBUG
        isBehindBarrier &= DebugBugs.Current != DebugBug.StaleLinearizableRead;
#endif
        if (isBehindBarrier)
            await SiteBarrierAsync(table, deadline);
        if ((long)minRevision > table.Group.Reader.Revision)
            await RevisionAsync((long)minRevision, table.Group, deadline);
    }

    /// <summary>At the leader site it tells how recent the state is, too.</summary>
    private async ValueTask SiteBarrierAsync(ServedTable table, CallDeadline deadline)
    {
        long before = time.GetTimestamp();
        await BarrierAsync(table.Group, deadline);
        if (probe is null && Sighting.Of(table.Group.Reader, before) is { } own)
            table.Fresh.Confirm(own);
    }

    /// <summary>
    /// A bound that is narrower than the way there and back would never be met by the clock alone; so what has everything that was committed when the call came is recent enough for any.
    /// </summary>
    private async ValueTask StalenessAsync(ulong most, ServedTable table, CallDeadline deadline)
    {
        if (!isKnown)
            throw NotKnown.ToException();
        if (IsMet(most, table))
            return;
        long came = time.GetTimestamp();
        string? obstacle = null;
        try
        {
            if (probe is null)
                await SiteBarrierAsync(table, deadline);
            else if ((obstacle = await probe.TableAsync(table, deadline.Token)) is null && table.Fresh.Latest is { } latest)
                await table.Group.WaitForRevisionAsync(latest.Revision, deadline.Token);
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            obstacle = "what is newer did not come within the deadline";
        }

        if (table.Fresh.Moment >= came || IsMet(most, table))
            return;
        string missing = Missing(most, table);
        throw deadline.CallerIsGone
            ? deadline.Expired(missing)
            : new RpcException(new Status(StatusCode.Unavailable, $"{missing}; {obstacle ?? "this node's history is another one than the leader site's"}; trying again later, or with a wider bound, may do"));
    }

    private string Missing(ulong most, ServedTable table) => Staleness(table) is { } staleness
        ? $"the table is up to {Math.Ceiling(staleness.TotalMilliseconds)} ms stale on this node, and max_staleness_ms asks for {most}"
        : $"how stale the table is on this node is not known, and max_staleness_ms asks for {most}";

    private TimeSpan? Staleness(ServedTable table) => trailers.Since(table.Fresh.Moment);

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

/// <param name="Staleness">At most, when it was read; null: not known.</param>
internal readonly record struct FreshRead<T>(T What, TimeSpan? Staleness);
