using Google.Protobuf;
using Grpc.Core;
using Regatta.Protocol.Replication;
using Regatta.Replication;
using Metadata = Regatta.Protocol.Replication.Metadata;

namespace Regatta.Node;

/// <summary>What the leader site says of its tables to follower sites: their names, and the history that they belong to; and how far they are.</summary>
internal sealed class MetadataService(
    Catalogue catalogue, Guid history, ServedTables served, CommitCensus census, ProbeMessages messages, CallDeadlines deadlines, TimeProvider time) : Metadata.MetadataBase
{
    public override async Task<MetadataResponse> Get(MetadataRequest request, ServerCallContext context)
    {
        if (served.Closed is { } closed)
            throw closed.ToException();
        using CallDeadline deadline = deadlines.Start(context);
        await Freshness.BarrierAsync(catalogue.Group, deadline);
        MetadataResponse reply = new() { HistoryId = ByteString.CopyFrom(history.ToByteArray(bigEndian: true)) };
        foreach (string name in catalogue.Read().Tables.Select(static table => table.Name).Order(StringComparer.Ordinal))
            reply.Tables.Add(new Table { Name = name, Type = Table.Types.Type.Replicated });
        return reply;
    }

    public override async Task<ProbeResponse> Probe(ProbeRequest request, ServerCallContext context)
    {
        if (served.Closed is { } closed)
            throw closed.ToException();
        if (!request.Table.IsEmpty)
            return await ProbeAsync(served.Get(request.Table), context);
        long received = time.GetTimestamp();
        await census.RefreshAsync();
        return messages.Known(received);
    }

    private async Task<ProbeResponse> ProbeAsync(ServedTable table, ServerCallContext context)
    {
        using CallDeadline deadline = deadlines.Start(context);
        long received = time.GetTimestamp();
        await Freshness.BarrierAsync(table.Group, deadline);
        Sighting own = Sighting.Of(table.Group.Reader, received) ?? throw new RpcException(new Status(StatusCode.Unavailable, "the changelog has just moved on; ask again"));
        table.Fresh.Confirm(own);
        return messages.Of([(table, own)], received);
    }
}
