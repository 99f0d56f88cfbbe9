using Google.Protobuf;
using Grpc.Core;
using Regatta.Protocol.Channels;
using Regatta.Protocol.Replication;
using Regatta.Raft;
using Regatta.Replication;
using Metadata = Regatta.Protocol.Replication.Metadata;

namespace Regatta.Node;

/// <summary>At a follower site: asks the leader site how far its tables are; and, where no node of it answers, the other nodes of this site what they know. Thread-safe.</summary>
internal sealed class LeaderProbe(ChannelSet leader, NeighbourProbe neighbours, ProbeMessages messages, TimeProvider time)
{
    private static readonly TimeSpan AskTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Of all tables.</summary>
    public async Task RoundAsync(CancellationToken cancellationToken)
    {
        if (await ProbeAsync(new ProbeRequest(), AskTimeout, cancellationToken) is not null)
            await neighbours.RoundAsync(AskTimeout, cancellationToken);
    }

    /// <summary>Of one table, behind a barrier of the leader site that begins now.</summary>
    /// <returns>Null: it is known, though it may not be here yet. Else why not, as a clause.</returns>
    /// <exception cref="OperationCanceledException">The deadline passed.</exception>
    public async Task<string?> TableAsync(ServedTable table, CancellationToken deadline)
    {
        ProbeRequest request = new() { Table = ByteString.CopyFromUtf8(table.Name) };
        string? obstacle = null;
        for (int attempt = 0; attempt < leader.Count; attempt++)
        {
            if ((obstacle = await ProbeAsync(request, Timeout.InfiniteTimeSpan, deadline)) is null)
                return null;
        }

        return obstacle;
    }

    private async Task<string?> ProbeAsync(ProbeRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ChannelRoute route = leader.Current;
        using TimeLimit limit = new(timeout, time, cancellationToken);
        long asked = time.GetTimestamp();
        try
        {
            messages.Take(await new Metadata.MetadataClient(route.Invoker).ProbeAsync(request, cancellationToken: limit.Token), asked);
            return null;
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            leader.Leave(route);
            return LeaderEndpoints.Describe(e, route.Address);
        }
        catch (IOException e)
        {
            return $"the leader site's node at {route.Address.Authority} has an answer that is of no use: {e.Message}";
        }
    }
}
