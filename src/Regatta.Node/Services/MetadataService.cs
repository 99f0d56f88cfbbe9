using Google.Protobuf;
using Grpc.Core;
using Regatta.Protocol.Replication;
using Metadata = Regatta.Protocol.Replication.Metadata;

namespace Regatta.Node;

/// <summary>Metadata.Get: the names of the tables that there are to follow, and the history that they belong to.</summary>
internal sealed class MetadataService(Catalogue catalogue, Guid history, ServedTables served, CallDeadlines deadlines) : Metadata.MetadataBase
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
}
