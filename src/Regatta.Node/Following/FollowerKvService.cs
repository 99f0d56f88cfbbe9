using Grpc.Core;
using Regatta.Protocol.Mvcc;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>The KV calls at a follower site: reads here, writes at the leader site.</summary>
internal sealed class FollowerKvService(PointReads points, RangeReads ranges, Iterations iterations, Transactions transactions, ForwardedWrites writes)
    : ReadKvService(points, ranges, iterations)
{
    private static readonly Rejection NotYet = new(
        StatusCode.Unimplemented, "a follower site does not know yet how stale it is, so it can answer neither GLOBAL nor max_staleness_ms; ask a node of the leader site, or use min_revision");

    public override Task<RangeResponse> Range(RangeRequest request, ServerCallContext context)
    {
        ThrowUnlessHere(request);
        return base.Range(request, context);
    }

    public override Task IterateRange(RangeRequest request, IServerStreamWriter<RangeResponse> responseStream, ServerCallContext context)
    {
        ThrowUnlessHere(request);
        return base.IterateRange(request, responseStream, context);
    }

    public override Task<PutResponse> Put(PutRequest request, ServerCallContext context) => writes.PutAsync(request, context);

    public override Task<DeleteRangeResponse> DeleteRange(DeleteRangeRequest request, ServerCallContext context) => writes.DeleteAsync(request, context);

    public override Task<TxnResponse> Txn(TxnRequest request, ServerCallContext context) => request.Success.Concat(request.Failure).All(IsRead)
        ? transactions.RunAsync(request, context)
        : writes.TxnAsync(request, context);

    private static void ThrowUnlessHere(RangeRequest request)
    {
        if (request.Consistency == Consistency.Global || request.MaxStalenessMs > 0)
            throw NotYet.ToException();
    }

    private static bool IsRead(RequestOp operation) => operation.RequestCase == RequestOp.RequestOneofCase.RequestRange;
}
