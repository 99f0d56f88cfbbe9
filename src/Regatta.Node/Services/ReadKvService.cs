using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>The KV calls that read: the same at every site. One instance serves all requests.</summary>
internal abstract class ReadKvService(PointReads points, RangeReads ranges, Iterations iterations) : KV.KVBase
{
    public override Task<RangeResponse> Range(RangeRequest request, ServerCallContext context)
    {
        RangeQuery query = RangeAdmission.Query(request);
        RangeAdmission.ThrowOnForm(request, query);
        return query.Keys.IsSingle ? points.Read(request, query, context) : ranges.ReadAsync(request, query, context);
    }

    public override Task IterateRange(RangeRequest request, IServerStreamWriter<RangeResponse> responseStream, ServerCallContext context) =>
        iterations.RunAsync(request, responseStream, context);
}
