using Grpc.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>The Tables calls at a follower site, which has the tables that the leader site has.</summary>
internal sealed class FollowerTablesService(TableList list) : Tables.TablesBase
{
    public override Task<ListTablesResponse> List(ListTablesRequest request, ServerCallContext context) => list.ReadAsync(context);

    public override Task<CreateTableResponse> Create(CreateTableRequest request, ServerCallContext context) => throw Refused("Create", context);

    public override Task<DeleteTableResponse> Delete(DeleteTableRequest request, ServerCallContext context) => throw Refused("Delete", context);

    // Not told to whom the token is denied: not even what this node is.
    private RpcException Refused(string method, ServerCallContext context)
    {
        list.Admit(context);
        return new Rejection(StatusCode.Unimplemented, $"method {method} not implemented for follower; ask a node of the leader site").ToException();
    }
}
