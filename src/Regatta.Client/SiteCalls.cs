using Google.Protobuf;
using Regatta.Protocol.V1Ext;

namespace Regatta.Client;

/// <summary>
/// The Site service: what concerns all nodes of a site; any of them answers. Repeating these calls does no harm, so they go to the next
/// endpoint when a node is unavailable. Errors as in <see cref="KeyValueCalls"/>.
/// </summary>
public sealed class SiteCalls
{
    private readonly CallRunner _runner;

    internal SiteCalls(CallRunner runner) => _runner = runner;

    /// <summary>Completes when the node leads the table's group.</summary>
    public Task<MoveLeaderResponse> MoveLeaderAsync(string table, ulong nodeId, CancellationToken token)
    {
        MoveLeaderRequest request = new() { Table = ByteString.CopyFromUtf8(table), NodeId = nodeId };
        return _runner.ReadAsync((invoker, options) => new Site.SiteClient(invoker).MoveLeaderAsync(request, options), token);
    }

    /// <summary>Every node's hashes of a table.</summary>
    /// <param name="revision">0: the newest.</param>
    public Task<TableHashResponse> TableHashAsync(string table, ulong revision, CancellationToken token)
    {
        TableHashRequest request = new() { Table = ByteString.CopyFromUtf8(table), Revision = revision };
        return _runner.ReadAsync((invoker, options) => new Site.SiteClient(invoker).TableHashAsync(request, options), token);
    }

    /// <summary>Begins to exchange a table of a follower site, fenced because the leader site was set back, for the leader site's.</summary>
    public Task<AdoptResponse> AdoptAsync(string table, CancellationToken token)
    {
        AdoptRequest request = new() { Table = ByteString.CopyFromUtf8(table) };
        return _runner.ReadAsync((invoker, options) => new Site.SiteClient(invoker).AdoptAsync(request, options), token);
    }

    /// <summary>How the tables of a follower site follow the leader site.</summary>
    public Task<FollowingResponse> FollowingAsync(CancellationToken token) =>
        _runner.ReadAsync(static (invoker, options) => new Site.SiteClient(invoker).FollowingAsync(new FollowingRequest(), options), token);
}
