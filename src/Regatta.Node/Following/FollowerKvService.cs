using Grpc.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>The KV calls at a follower site: writes go to the leader site, and so do reads that are to see everything, or more than is here if their client allows it; the others are answered here.</summary>
internal sealed class FollowerKvService(KvReads reads, Forwarding forwarding, GlobalReads globals, ForwardedWrites writes) : ReadKvService(reads)
{
    public override Task<RangeResponse> Range(RangeRequest request, ServerCallContext context)
    {
#if DEBUG
        if (DebugBugs.Current == DebugBug.GlobalReadAnsweredHere)
            return base.Range(request, context);
#endif
        if (request.Consistency == Consistency.Global)
            return globals.RangeAsync(request, context);
        return Forwarding.IsAsked(context) ? HereOrForwardAsync(request, context) : base.Range(request, context);
    }

    public override Task IterateRange(RangeRequest request, IServerStreamWriter<RangeResponse> responseStream, ServerCallContext context)
    {
        if (request.Consistency == Consistency.Global)
            return globals.IterateAsync(request, responseStream, context);
        return Forwarding.IsAsked(context) ? HereOrForwardAsync(request, responseStream, context) : base.IterateRange(request, responseStream, context);
    }

    public override Task<PutResponse> Put(PutRequest request, ServerCallContext context) => writes.PutAsync(request, context);

    public override Task<DeleteRangeResponse> DeleteRange(DeleteRangeRequest request, ServerCallContext context) => writes.DeleteAsync(request, context);

    public override Task<TxnResponse> Txn(TxnRequest request, ServerCallContext context)
    {
        if (!TxnAdmission.IsReadOnly(request))
            return writes.TxnAsync(request, context);
        if (request.Consistency == Consistency.Global)
            return globals.TxnAsync(request, context);
        return Forwarding.IsAsked(context) ? HereOrForwardAsync(request, context) : Reads.Transactions.RunAsync(request, context);
    }

    private async Task<RangeResponse> HereOrForwardAsync(RangeRequest request, ServerCallContext context) =>
        await forwarding.IsHereAsync(request.Table, request.MinRevision, request.MaxStalenessMs, context.CancellationToken)
            ? await base.Range(request, context)
            : await globals.RangeAsync(request, context);

    private async Task HereOrForwardAsync(RangeRequest request, IServerStreamWriter<RangeResponse> replies, ServerCallContext context)
    {
        if (await forwarding.IsHereAsync(request.Table, request.MinRevision, request.MaxStalenessMs, context.CancellationToken))
            await base.IterateRange(request, replies, context);
        else
            await globals.IterateAsync(request, replies, context);
    }

    private async Task<TxnResponse> HereOrForwardAsync(TxnRequest request, ServerCallContext context) =>
        await forwarding.IsHereAsync(request.Table, request.MinRevision, maxStaleness: 0, context.CancellationToken)
            ? await Reads.Transactions.RunAsync(request, context)
            : await globals.TxnAsync(request, context);
}
