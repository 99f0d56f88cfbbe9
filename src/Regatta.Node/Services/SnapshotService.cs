using Google.Protobuf;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.Replication;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// Snapshot.Files: the files of a table, for follower sites of ours. Snapshot.Stream: a table's whole content, from one view. Read on when the follower has taken the chunk before; a slow one costs a chunk and the view.
/// </summary>
/// <param name="find">The table of a name, or the catalogue.</param>
/// <param name="stallTimeout">How long a follower may take for a chunk.</param>
/// <param name="stopping">The node stops: open streams end.</param>
internal sealed class SnapshotService(
    Func<ByteString, ServedTable> find, IGroupHost groups, ViewSlots slots, TimeSpan stallTimeout, CallDeadlines deadlines, CancellationToken stopping)
    : Snapshot.SnapshotBase
{
    private static readonly Rejection FetchLength = Rejection.Invalid("invalid fetch: must be 16 bytes");
    private static readonly Rejection HistoryLength = Rejection.Invalid("invalid history_id: must be 16 bytes");
    private static readonly Rejection IncarnationTooLarge = Rejection.Invalid($"invalid incarnation: must be at most {long.MaxValue}");

    /// <summary>As the Go project has it.</summary>
    private const int ChunkBytes = 1 << 20;

    public override async Task Stream(SnapshotRequest request, IServerStreamWriter<SnapshotChunk> responseStream, ServerCallContext context)
    {
        if (request.Table.IsEmpty)
            throw Sentences.TableMustBeSet.ToException();
        ServedTable table = find(request.Table);
        // Also for a snapshot: the follower asks for it because the changelog does not reach back to its revision, and must not get one that is older.
        using (CallDeadline deadline = deadlines.Start(context))
            await Freshness.BarrierAsync(table.Group, deadline);
        using IDisposable slot = slots.Take();
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping);
        try
        {
            using ITableView view = table.Group.Reader.OpenView();
            using SnapshotWriter writer = new(request.Table, view);
            while (writer.TryRead(ChunkBytes, out ReadOnlyMemory<byte> chunk, ending.Token))
            {
                ending.CancelAfter(stallTimeout);
                await responseStream.WriteAsync(new SnapshotChunk { Data = UnsafeByteOperations.UnsafeWrap(chunk), Len = (ulong)chunk.Length }, ending.Token);
                ending.CancelAfter(Timeout.InfiniteTimeSpan);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            throw Rejection.Stopping.ToException();
        }
        catch (OperationCanceledException)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "the call was cancelled or the follower took no chunk for too long; the snapshot is not whole"));
        }
    }

    public override async Task<FilesResponse> Files(FilesRequest request, ServerCallContext context)
    {
        Rejection? rejection = request switch
        {
            { Table.IsEmpty: true } => Sentences.TableMustBeSet,
            { Fetch.Length: not 16 } => FetchLength,
            { HistoryId.Length: not 16 } => HistoryLength,
            { Incarnation: > long.MaxValue } => IncarnationTooLarge,
            _ => null,
        };
        if (rejection is not null)
            throw rejection.ToException();
        ServedTable table = find(request.Table);
        Incarnation asked = new(new Guid(request.HistoryId.Span, bigEndian: true), (long)request.Incarnation);
        if (asked != table.Incarnation)
            throw new Rejection(StatusCode.FailedPrecondition, $"the table's life here is {table.Incarnation}, and not {asked}").ToException();
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping);
        try
        {
            ReadOnlyMemory<byte> reply = await groups.ServeFilesAsync(
                new Guid(request.Fetch.Span, bigEndian: true), table.Group.GroupId, (byte)Math.Min(request.Call, byte.MaxValue), request.Request.Memory, ending.Token);
            return new FilesResponse { Reply = UnsafeByteOperations.UnsafeWrap(reply) };
        }
        catch (InvalidDataException e)
        {
            throw Rejection.Invalid(e.Message).ToException();
        }
        catch (IOException e) when (!ending.IsCancellationRequested)
        {
            // No checkpoint can be made, say. Another node may have more room.
            throw new Rejection(StatusCode.Unavailable, $"the table's files cannot be given by this node: {e.Message}").ToException();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            throw Rejection.Stopping.ToException();
        }
    }
}
