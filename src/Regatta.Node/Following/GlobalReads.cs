using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>Linearizable reads across sites (G6), asked at a follower site: the leader site answers them, behind the barrier of its own site.</summary>
internal sealed class GlobalReads(ServedTables tables, LeaderKv leader, StalenessTrailers trailers, CallDeadlines deadlines, TimeProvider time)
{
    public async Task<RangeResponse> RangeAsync(RangeRequest request, ServerCallContext context)
    {
        RangeRequest there = AtLeader(request);
        using CallDeadline deadline = deadlines.Start(context);
        return await leader.ReadAsync((client, options) => client.RangeAsync(there, options), context.Deadline, deadline, Teller(context));
    }

    public async Task IterateAsync(RangeRequest request, IServerStreamWriter<RangeResponse> replies, ServerCallContext context)
    {
        RangeRequest there = AtLeader(request);
        await foreach (RangeResponse page in leader.ReadAsync(
            (client, options) => client.IterateRange(there, options), context.Deadline, Teller(context), context.CancellationToken))
            await replies.WriteAsync(page, context.CancellationToken);
    }

    public async Task<TxnResponse> TxnAsync(TxnRequest request, ServerCallContext context)
    {
        ThrowIfClosed();
        TxnRequest there = request.Clone();
        there.Consistency = Consistency.Global;
        using CallDeadline deadline = deadlines.Start(context);
        return await leader.ReadAsync((client, options) => client.TxnAsync(there, options), context.Deadline, deadline, Teller(context));
    }

    /// <summary>The answer has everything that was committed before now.</summary>
    private Action<Metadata> Teller(ServerCallContext context)
    {
        long began = time.GetTimestamp();
        return theirs => trailers.TellOf(theirs, context, began);
    }

    private RangeRequest AtLeader(RangeRequest request)
    {
        ThrowIfClosed();
        RangeQuery query = RangeAdmission.Query(request);
        RangeAdmission.ThrowOnForm(request, query);
        RangeRequest there = request.Clone();
        there.Consistency = Consistency.Global;
        // A leader site of the Go project knows no other field for it.
        there.Linearizable = true;
        there.MaxStalenessMs = 0;
        return there;
    }

    private void ThrowIfClosed()
    {
        if (tables.Closed is { } closed)
            throw closed.ToException();
    }
}
