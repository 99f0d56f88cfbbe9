using Grpc.Core;
using Regatta.Protocol.Mvcc;
using Regatta.Protocol.V1;

namespace Regatta.Client;

/// <summary>
/// The KV service. All calls throw <see cref="RegattaException"/>, or <see cref="OperationCanceledException"/> when the caller cancels.
/// </summary>
public sealed class KeyValueCalls
{
    private readonly CallRunner _runner;

    internal KeyValueCalls(CallRunner runner) => _runner = runner;

    /// <summary>One key, or the first page of a range.</summary>
    public Task<RangeResponse> RangeAsync(RangeRequest request, CancellationToken token) =>
        _runner.ReadAsync((invoker, options) => new KV.KVClient(invoker).RangeAsync(request, options), token);

    /// <summary>A whole range, page by page, all pages from one point in the table's history. At least one page comes, with the header.</summary>
    public IAsyncEnumerable<RangeResponse> IterateAsync(RangeRequest request, CancellationToken token) =>
        _runner.StreamAsync((invoker, options) => new KV.KVClient(invoker).IterateRange(request, options), token);

    public Task<PutResponse> PutAsync(PutRequest request, CancellationToken token) =>
        _runner.WriteAsync((invoker, options) => new KV.KVClient(invoker).PutAsync(request, options), token);

    public Task<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken token) =>
        _runner.WriteAsync((invoker, options) => new KV.KVClient(invoker).DeleteRangeAsync(request, options), token);

    /// <summary>
    /// Follows changes from a revision on: every one of the keys, in order, once, also when the watch breaks and goes on at another endpoint. Endless; what comes are events, several revisions at a time or one in several pieces, and
    /// if they are asked for messages without events, which tell the revision up to which everything has come.
    /// </summary>
    public IAsyncEnumerable<WatchResponse> WatchAsync(CreateWatch request, CancellationToken token) => _runner.WatchAsync(request, token);

    /// <summary>A transaction that can only read is repeated at another node like any read.</summary>
    public Task<TxnResponse> TxnAsync(TxnRequest request, CancellationToken token)
    {
        Func<CallInvoker, CallOptions, AsyncUnaryCall<TxnResponse>> call = (invoker, options) => new KV.KVClient(invoker).TxnAsync(request, options);
        return request.Success.Concat(request.Failure).All(operation => operation.RequestCase == RequestOp.RequestOneofCase.RequestRange)
            ? _runner.ReadAsync(call, token)
            : _runner.WriteAsync(call, token);
    }
}
