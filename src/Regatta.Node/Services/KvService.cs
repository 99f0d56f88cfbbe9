using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>The KV calls. One instance serves all requests.</summary>
internal sealed class KvService(PointReads points, RangeReads ranges, Iterations iterations, Writes writes, Transactions transactions) : KV.KVBase
{
    public override Task<RangeResponse> Range(RangeRequest request, ServerCallContext context)
    {
        RangeQuery query = RangeAdmission.Query(request);
        RangeAdmission.ThrowOnForm(request, query);
        return query.Keys.IsSingle ? points.Read(request, query, context) : ranges.ReadAsync(request, query, context);
    }

    public override Task IterateRange(RangeRequest request, IServerStreamWriter<RangeResponse> responseStream, ServerCallContext context) =>
        iterations.RunAsync(request, responseStream, context);

    public override Task<PutResponse> Put(PutRequest request, ServerCallContext context) => writes.PutAsync(request, context);

    public override Task<DeleteRangeResponse> DeleteRange(DeleteRangeRequest request, ServerCallContext context) => writes.DeleteAsync(request, context);

    public override Task<TxnResponse> Txn(TxnRequest request, ServerCallContext context) => transactions.RunAsync(request, context);
}
