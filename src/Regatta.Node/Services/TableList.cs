using System.Globalization;
using Grpc.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>Tables.List, and who may ask for it: the same at every site.</summary>
internal sealed class TableList(Catalogue catalogue, ServedTables served, BearerToken token, CallDeadlines deadlines)
{
    /// <exception cref="RpcException">The call lacks the token, or the node does not serve (any more).</exception>
    public void Admit(ServerCallContext context)
    {
        token.ThrowUnlessCarriedBy(context);
        if (served.Closed is { } closed)
            throw closed.ToException();
    }

    public async Task<ListTablesResponse> ReadAsync(ServerCallContext context)
    {
        Admit(context);
        using CallDeadline deadline = deadlines.Start(context);
        await Freshness.BarrierAsync(catalogue.Group, deadline);
        ListTablesResponse reply = new();
        foreach (CatalogueTable table in catalogue.Read().Tables)
            reply.Tables.Add(new TableInfo { Name = table.Name, Id = table.GroupId.ToString(CultureInfo.InvariantCulture) });
        return reply;
    }
}
