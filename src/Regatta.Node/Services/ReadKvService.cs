using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>The KV calls that read: the same at every site. One instance serves all requests.</summary>
internal abstract class ReadKvService(PointReads points, RangeReads ranges, Iterations iterations, Watches watches) : KV.KVBase
{
    public override Task<RangeResponse> Range(RangeRequest request, ServerCallContext context)
    {
        RangeQuery query = RangeAdmission.Query(request);
        RangeAdmission.ThrowOnForm(request, query);
        return query.Keys.IsSingle ? points.Read(request, query, context) : ranges.ReadAsync(request, query, context);
    }

    public override Task IterateRange(RangeRequest request, IServerStreamWriter<RangeResponse> responseStream, ServerCallContext context) =>
        iterations.RunAsync(request, responseStream, context);

    public override Task Watch(IAsyncStreamReader<WatchRequest> requestStream, IServerStreamWriter<WatchResponse> responseStream, ServerCallContext context) =>
        watches.RunAsync(requestStream, responseStream, context);
}
