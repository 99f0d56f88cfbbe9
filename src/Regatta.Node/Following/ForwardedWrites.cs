using Google.Protobuf;
using Grpc.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>
/// Writes at a follower site: passed on to the leader site as they are, and answered when this node has what was written, so that who wrote it reads it here. Nothing is kept for later:
/// without the leader site a write fails at once, and one whose fate is not known says so and is not repeated.
/// </summary>
/// <param name="isUnderGo">The leader site is one of the Go project: its groups have other numbers.</param>
internal sealed class ForwardedWrites(ServedTables tables, TableReconciler reconciler, LeaderKv leader, bool isUnderGo, CallDeadlines deadlines)
{
    public Task<PutResponse> PutAsync(PutRequest request, ServerCallContext context)
    {
#if DEBUG
        if (DebugBugs.Strikes(DebugBug.LostForwardedWrite, every: 50) && tables.Snapshot.TryGet(request.Table.Span, out ServedTable? table))
            return Task.FromResult(new PutResponse { Header = table.Header(table.Group.Reader.Revision) });
#endif
        return RunAsync(request.Table, (client, options) => client.PutAsync(request, options), static reply => reply.Header, context);
    }

    public Task<DeleteRangeResponse> DeleteAsync(DeleteRangeRequest request, ServerCallContext context) =>
        RunAsync(request.Table, (client, options) => client.DeleteRangeAsync(request, options), static reply => reply.Header, context);

    public Task<TxnResponse> TxnAsync(TxnRequest request, ServerCallContext context) =>
        RunAsync(request.Table, (client, options) => client.TxnAsync(request, options), static reply => reply.Header, context);

    private async Task<TReply> RunAsync<TReply>(
        ByteString table, Func<KV.KVClient, CallOptions, AsyncUnaryCall<TReply>> call, Func<TReply, ResponseHeader> header, ServerCallContext context)
    {
        if (tables.Closed is { } closed)
            throw closed.ToException();
        if (NeverHere(table) is { } never)
            throw never.ToException();
        using CallDeadline deadline = deadlines.Start(context);
        TReply reply = await leader.WriteAsync(call, context.Deadline, deadline);
        await HereAsync(table, header(reply), deadline);
        return reply;
    }

    /// <summary>Waits until this node has the write.</summary>
    private async Task HereAsync(ByteString name, ResponseHeader header, CallDeadline deadline)
    {
        try
        {
            // The table may be newer at the leader site than here: then the catalogue brings it. Once it has, and it is not here, it was deleted meanwhile.
            if (isUnderGo)
                await ByNameAsync(name, header, deadline.Token);
            else if (Find(name, header) is null)
                await reconciler.WaitAsync(CatalogueKeys.RevisionOf((long)header.ShardId), deadline.Token);
            if (Find(name, header) is { } table)
                await table.Group.WaitForRevisionAsync((long)header.Revision, deadline.Token);
        }
        catch (ObjectDisposedException)
        {
            // Deleted meanwhile, or this node stops. The write is done all the same: only UNAVAILABLE would be wrong, which says that it is not.
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            throw new WrittenException(
                deadline.Expired($"the write is done at the leader site, at revision {header.Revision}, but has not arrived at this node yet"), header);
        }
    }

    /// <summary>Until there is a table of that name, which is made when the leader site's list is read the next time.</summary>
    private async Task ByNameAsync(ByteString name, ResponseHeader header, CancellationToken cancellationToken)
    {
        try
        {
            for (long reached = reconciler.Reached; !tables.Snapshot.TryGet(name.Span, out _); reached = reconciler.Reached)
                await reconciler.WaitAsync(reached + 1, cancellationToken);
        }
        catch (ObjectDisposedException)
        {
            // Its number here is not known yet, so that a session's token would tell no other node to wait for it.
            Status status = new(StatusCode.Unknown, $"the write is done at the leader site, at revision {header.Revision}; this node stops before it has the table");
            throw new WrittenException(new RpcException(status), header);
        }
    }

    /// <summary>The table that the leader site has written to; a table of ours of that name from another life is another table.</summary>
    private ServedTable? Find(ByteString name, ResponseHeader header) =>
        tables.Snapshot.TryGet(name.Span, out ServedTable? table) && (isUnderGo || table.Group.GroupId == (long)header.ShardId) ? table : null;

    /// <summary>Why a table of that name can never be here, so that nobody could read here what was written; null: it can.</summary>
    private Rejection? NeverHere(ByteString name) => isUnderGo && !name.IsEmpty && TableName.Problem(name.ToStringUtf8()) is { } problem
        ? Rejection.NotFound($"this site does not follow a table of that name: {problem}; write to the leader site")
        : null;
}
