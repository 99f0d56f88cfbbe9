using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.Channels;
using Regatta.Protocol.Replication;
using Metadata = Regatta.Protocol.Replication.Metadata;

namespace Regatta.Replication;

/// <summary>The leader site over gRPC.</summary>
public sealed class GrpcLeaderSite(ChannelSet endpoints, TimeProvider time) : ILeaderSite
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(5);

    public async Task<LeaderTables> TablesAsync(CancellationToken cancellationToken)
    {
        ChannelRoute route = endpoints.Current;
        try
        {
            CallOptions call = new(deadline: (time.GetUtcNow() + AnswerTimeout).UtcDateTime, cancellationToken: cancellationToken);
            MetadataResponse reply = await new Metadata.MetadataClient(route.Invoker).GetAsync(new MetadataRequest(), call).ConfigureAwait(false);
            return new LeaderTables(
                reply.HistoryId.Length == 16 ? new Guid(reply.HistoryId.Span, bigEndian: true) : null, [.. reply.Tables.Select(static table => table.Name)]);
        }
        catch (RpcException e)
        {
            throw Failed(e, route, cancellationToken);
        }
    }

    public async IAsyncEnumerable<PulledItem> PullAsync(string table, FeedPosition position, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ChannelRoute route = endpoints.Current;
        using AsyncServerStreamingCall<ReplicateResponse> call =
            new Log.LogClient(route.Invoker).Replicate(Request(table, position), cancellationToken: cancellationToken);
        while (await MoveNextAsync(call, route, cancellationToken).ConfigureAwait(false))
            yield return Item(call.ResponseStream.Current);
    }

    private async Task<bool> MoveNextAsync(AsyncServerStreamingCall<ReplicateResponse> call, ChannelRoute route, CancellationToken cancellationToken)
    {
        try
        {
            return await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false);
        }
        catch (RpcException e)
        {
            throw Failed(e, route, cancellationToken);
        }
    }

    private Exception Failed(RpcException e, ChannelRoute route, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return new OperationCanceledException(e.Message, e, cancellationToken);
        LeaderFailure failure = e.StatusCode switch
        {
            StatusCode.NotFound => LeaderFailure.NoTable,
            StatusCode.InvalidArgument or StatusCode.FailedPrecondition or StatusCode.Unimplemented or StatusCode.ResourceExhausted or StatusCode.DataLoss => LeaderFailure.Refused,
            _ => LeaderFailure.Unreachable,
        };
        // What one node has damaged, another one may have.
        if (failure == LeaderFailure.Unreachable || e.StatusCode == StatusCode.DataLoss)
            endpoints.Leave(route);
        return new LeaderSiteException(failure, LeaderEndpoints.Describe(e, route.Address), e);
    }

    private static ReplicateRequest Request(string table, FeedPosition position)
    {
        ReplicateRequest request = new() { Table = ByteString.CopyFromUtf8(table), LeaderIndex = (ulong)position.Next, Follow = true };
        if (position.Incarnation is { } incarnation)
        {
            request.HistoryId = ByteString.CopyFrom(incarnation.History.ToByteArray(bigEndian: true));
            request.Incarnation = (ulong)incarnation.Number;
        }

        if (position.Chain is { } chain)
        {
            byte[] bytes = new byte[ChainHash.Bytes];
            BinaryPrimitives.WriteUInt128BigEndian(bytes, chain.Value);
            request.ChainHash = UnsafeByteOperations.UnsafeWrap(bytes);
        }

        return request;
    }

    private static PulledItem Item(ReplicateResponse message)
    {
        Incarnation? life = message.HistoryId.Length == 16 ? new Incarnation(new Guid(message.HistoryId.Span, bigEndian: true), (long)message.Incarnation) : null;
        FeedItem item = message switch
        {
            { CommandsResponse: { } commands } => new FeedItem.Commands([.. commands.Commands.Select(Command)]),
            { ErrorResponse.Error: ReplicateError.UseSnapshot } => new FeedItem.UseSnapshot(),
            { ErrorResponse.Error: ReplicateError.LeaderBehind } => new FeedItem.LeaderBehind(),
            { ErrorResponse.Error: ReplicateError.Diverged } => new FeedItem.Diverged(life ?? throw new InvalidDataException("the leader site says that histories differ, and not which one it has")),
            { ErrorResponse: { } error } => throw new InvalidDataException($"the leader site answers with the unknown outcome {(int)error.Error}; it runs a newer version"),
            _ => new FeedItem.End(),
        };
        return new PulledItem(item with { BytesBehind = (long)Math.Min(message.BehindBytes, long.MaxValue) }, Revision(message.LeaderIndex), life);
    }

    private static RevisedCommand Command(ReplicateCommand message) => new(
        Revision(message.LeaderIndex),
        CommandMessages.Read(message.Command ?? throw new InvalidDataException($"the leader site sent revision {message.LeaderIndex} without a command")));

    private static long Revision(ulong index) =>
        index <= long.MaxValue ? (long)index : throw new InvalidDataException($"the leader site sent revision {index}, which no table can have");
}
