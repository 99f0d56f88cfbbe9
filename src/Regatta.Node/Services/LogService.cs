using System.Buffers.Binary;
using Google.Protobuf;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.Replication;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>Log.Replicate: a table's changes for a follower site. Any node serves it; what it holds of a follower is one stream's position and one message.</summary>
/// <param name="find">The table of a name, or the catalogue.</param>
/// <param name="messageBytes">About the largest message.</param>
/// <param name="stopping">The node stops: open streams end.</param>
internal sealed class LogService(Func<ByteString, ServedTable> find, int messageBytes, CallDeadlines deadlines, TimeProvider time, CancellationToken stopping) : Log.LogBase
{
    private static readonly Rejection IndexMustBePositive = Rejection.Invalid("invalid leaderIndex: leaderIndex must be greater than 0");
    private static readonly Rejection IndexTooLarge = Rejection.Invalid($"invalid leaderIndex: leaderIndex must be at most {long.MaxValue}");
    private static readonly Rejection HistoryLength = Rejection.Invalid("invalid history_id: must be empty or 16 bytes");
    private static readonly Rejection IncarnationTooLarge = Rejection.Invalid($"invalid incarnation: must be at most {long.MaxValue}");
    private static readonly Rejection ChainLength = Rejection.Invalid($"invalid chain_hash: must be empty or {ChainHash.Bytes} bytes");

    public override async Task Replicate(ReplicateRequest request, IServerStreamWriter<ReplicateResponse> responseStream, ServerCallContext context)
    {
        FeedPosition position = Position(request);
        ServedTable table = find(request.Table);
        using (CallDeadline deadline = deadlines.Start(context))
            await Freshness.BarrierAsync(table.Group, deadline);
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping);
        ChangeFeed feed = new(table.Group, table.Incarnation, messageBytes, time);
        try
        {
            await foreach (FeedItem item in feed.ReadAsync(position, request.Follow, ending.Token))
                await responseStream.WriteAsync(Message(item, request, table), ending.Token);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            throw Rejection.Stopping.ToException();
        }
    }

    private static FeedPosition Position(ReplicateRequest request)
    {
        if (request.Table.IsEmpty)
            throw Sentences.TableMustBeSet.ToException();
        Rejection? rejection = request switch
        {
            { LeaderIndex: 0 } => IndexMustBePositive,
            { LeaderIndex: > long.MaxValue } => IndexTooLarge,
            { HistoryId.Length: not (0 or 16) } => HistoryLength,
            { Incarnation: > long.MaxValue } => IncarnationTooLarge,
            { ChainHash.Length: not (0 or ChainHash.Bytes) } => ChainLength,
            _ => null,
        };
        if (rejection is not null)
            throw rejection.ToException();
        Incarnation? incarnation = request.HistoryId.IsEmpty ? null : new Incarnation(new Guid(request.HistoryId.Span, bigEndian: true), (long)request.Incarnation);
        ChainHash? chain = request.ChainHash.IsEmpty ? null : new ChainHash(BinaryPrimitives.ReadUInt128BigEndian(request.ChainHash.Span));
        return new FeedPosition((long)request.LeaderIndex, incarnation, chain);
    }

    private static ReplicateResponse Message(FeedItem item, ReplicateRequest request, ServedTable table)
    {
        ReplicateResponse message = new() { LeaderIndex = (ulong)table.Group.Reader.Revision, BehindBytes = (ulong)item.BytesBehind };
        if (!request.HistoryId.IsEmpty)
        {
            message.HistoryId = ByteString.CopyFrom(table.Incarnation.History.ToByteArray(bigEndian: true));
            message.Incarnation = (ulong)table.Incarnation.Number;
        }

        switch (item)
        {
            case FeedItem.Commands { Items: var commands }:
                message.CommandsResponse = new ReplicateCommandsResponse();
                message.CommandsResponse.Commands.AddRange(
                    commands.Select(command => new ReplicateCommand { LeaderIndex = (ulong)command.Revision, Command = CommandMessages.Of(request.Table, command) }));
                break;
            case FeedItem.UseSnapshot:
                message.ErrorResponse = new ReplicateErrResponse { Error = ReplicateError.UseSnapshot };
                break;
            case FeedItem.LeaderBehind:
                message.ErrorResponse = new ReplicateErrResponse { Error = ReplicateError.LeaderBehind };
                break;
            case FeedItem.Diverged:
                message.ErrorResponse = new ReplicateErrResponse { Error = ReplicateError.Diverged };
                break;
        }

        return message;
    }
}
