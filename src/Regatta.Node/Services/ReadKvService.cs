using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>The KV calls that read: the same at every site. One instance serves all requests.</summary>
internal abstract class ReadKvService(KvReads reads) : KV.KVBase
{
    protected KvReads Reads { get; } = reads;

    public override Task<RangeResponse> Range(RangeRequest request, ServerCallContext context)
    {
        RangeQuery query = RangeAdmission.Query(request);
        RangeAdmission.ThrowOnForm(request, query);
        return query.Keys.IsSingle ? Reads.Points.Read(request, query, context) : Reads.Ranges.ReadAsync(request, query, context);
    }

    public override Task IterateRange(RangeRequest request, IServerStreamWriter<RangeResponse> responseStream, ServerCallContext context) =>
        Reads.Iterations.RunAsync(request, responseStream, context);

    public override Task Watch(IAsyncStreamReader<WatchRequest> requestStream, IServerStreamWriter<WatchResponse> responseStream, ServerCallContext context) =>
        Reads.Watches.RunAsync(requestStream, responseStream, context);
}

/// <summary>What serves the reads; transactions may write, too.</summary>
internal sealed record KvReads(PointReads Points, RangeReads Ranges, Iterations Iterations, Watches Watches, Transactions Transactions);
