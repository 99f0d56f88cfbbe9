using Grpc.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>The KV calls with sessions (G3, G4): what a session has seen of a table becomes the min_revision of its reads. Calls without a session go straight on.</summary>
internal sealed class SessionKvService(KV.KVBase inner, SessionCalls sessions) : KV.KVBase
{
    public override Task<RangeResponse> Range(RangeRequest request, ServerCallContext context) => !SessionCalls.Carries(context)
        ? inner.Range(request, context)
        : sessions.RunAsync(
            request.Table,
            seen =>
            {
                request.MinRevision = Math.Max(request.MinRevision, seen);
                return inner.Range(request, context);
            },
            static reply => reply.Header,
            context);

    public override Task IterateRange(RangeRequest request, IServerStreamWriter<RangeResponse> responseStream, ServerCallContext context) => !SessionCalls.Carries(context)
        ? inner.IterateRange(request, responseStream, context)
        : sessions.StreamAsync(
            request.Table,
            (seen, replies) =>
            {
                request.MinRevision = Math.Max(request.MinRevision, seen);
                return inner.IterateRange(request, replies, context);
            },
            responseStream,
            context);

    public override Task<PutResponse> Put(PutRequest request, ServerCallContext context) => !SessionCalls.Carries(context)
        ? inner.Put(request, context)
        : sessions.RunAsync(request.Table, _ => inner.Put(request, context), static reply => reply.Header, context);

    public override Task<DeleteRangeResponse> DeleteRange(DeleteRangeRequest request, ServerCallContext context) => !SessionCalls.Carries(context)
        ? inner.DeleteRange(request, context)
        : sessions.RunAsync(request.Table, _ => inner.DeleteRange(request, context), static reply => reply.Header, context);

    public override Task<TxnResponse> Txn(TxnRequest request, ServerCallContext context) => !SessionCalls.Carries(context)
        ? inner.Txn(request, context)
        : sessions.RunAsync(
            request.Table,
            seen =>
            {
                request.MinRevision = Math.Max(request.MinRevision, seen);
                return inner.Txn(request, context);
            },
            static reply => reply.Header,
            context);

    /// <summary>A watch says itself where it begins.</summary>
    public override Task Watch(IAsyncStreamReader<WatchRequest> requestStream, IServerStreamWriter<WatchResponse> responseStream, ServerCallContext context) =>
        inner.Watch(requestStream, responseStream, context);
}
