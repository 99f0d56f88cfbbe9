using Google.Protobuf;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.Channels;
using Regatta.Protocol.Replication;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>Whole states of tables from the leader site, as files. Some at a time; a table that waits for its turn says so by not getting on.</summary>
/// <param name="most">That are fetched at a time.</param>
internal sealed class LeaderStates(IGroupHost groups, ChannelSet leader, int most) : IStateSource, IDisposable
{
    private readonly SemaphoreSlim _turns = new(most);

    public async Task<InstallCommand> StageAsync(ITableGroup group, string table, Incarnation incarnation, CancellationToken cancellationToken)
    {
        await _turns.WaitAsync(cancellationToken);
        ChannelRoute? asked = null;
        try
        {
            return await groups.StageAsync(group.GroupId, Calls(table, incarnation, route => asked = route), cancellationToken);
        }
        catch (InvalidDataException)
        {
            // Another node of the leader site may have the files as they should be.
            if (asked is not null)
                leader.Leave(asked);
            throw;
        }
        finally
        {
            _turns.Release();
        }
    }

    public void Dispose() => _turns.Dispose();

    /// <param name="asking">Called with each node that is asked.</param>
    private FarCall Calls(string table, Incarnation incarnation, Action<ChannelRoute> asking)
    {
        FilesRequest all = new()
        {
            Table = ByteString.CopyFromUtf8(table),
            HistoryId = ByteString.CopyFrom(incarnation.History.ToByteArray(bigEndian: true)),
            Incarnation = (ulong)incarnation.Number,
            Fetch = ByteString.CopyFrom(Guid.NewGuid().ToByteArray()),
        };
        return async (call, request, cancellationToken) =>
        {
            FilesRequest one = new(all) { Call = call, Request = ByteString.CopyFrom(request.Span) };
            ChannelRoute route = leader.Current;
            asking(route);
            try
            {
                return (await new Snapshot.SnapshotClient(route.Invoker).FilesAsync(one, cancellationToken: cancellationToken)).Reply.Memory;
            }
            catch (RpcException e) when (!cancellationToken.IsCancellationRequested)
            {
                if (e.StatusCode is StatusCode.Unavailable or StatusCode.DataLoss or StatusCode.Internal || BrokenCall.Broke(e))
                    leader.Leave(route);
                throw new IOException(LeaderEndpoints.Describe(e, route.Address), e);
            }
            catch (RpcException e)
            {
                throw new OperationCanceledException(e.Message, e, cancellationToken);
            }
        };
    }
}
