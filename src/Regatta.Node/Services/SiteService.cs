using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using Regatta.Protocol.V1Ext;

namespace Regatta.Node;

/// <summary>The Site calls: what concerns all nodes of the site. Served without a token, as Cluster is, but for the one that changes data.</summary>
internal sealed class SiteService(ISiteCalls site, TableComparison comparison, SiteFollowing following, ServedTables tables, BearerToken token, CallDeadlines deadlines)
    : Site.SiteBase
{
    private static readonly Rejection RevisionTooGreat = Rejection.Invalid("revision is greater than any revision can be");

    public override async Task<MoveLeaderResponse> MoveLeader(MoveLeaderRequest request, ServerCallContext context)
    {
        ServedTable table = Find(request.Table);
        long nodeId = Member(request.NodeId);
        using CallDeadline deadline = deadlines.Start(context);
        try
        {
            if (await site.MoveLeaderAsync(table, nodeId, deadline.Token) is { } refused)
                throw refused.ToException();
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            throw deadline.Expired($"node {nodeId} may yet get the leadership; look at the status");
        }

        return new MoveLeaderResponse { Header = table.Header(table.Group.Reader.Revision), Leader = request.NodeId };
    }

    public override async Task<TableHashResponse> TableHash(TableHashRequest request, ServerCallContext context)
    {
        ServedTable table = Find(request.Table);
        if (request.Revision > long.MaxValue)
            throw RevisionTooGreat.ToException();
        using CallDeadline deadline = deadlines.Start(context);
        NodeHashes[] nodes = request.Revision == 0
            ? await comparison.AtNewestAsync(table, deadline)
            : await comparison.AtAsync(table, (long)request.Revision, deadline.Token);
        if (deadline.CallerIsGone)
            throw deadline.Expired("the table is not hashed to its end");
        // Without any answer there is nothing to compare: the first one's reason speaks for all.
        NodeHashes compared = nodes.FirstOrDefault(node => node.Failure is null) ?? throw nodes[0].Failure!.ToException();
        TableHashResponse reply = new() { Header = table.Header(compared.Revision) };
        reply.Nodes.AddRange(nodes.Select(Replies.NodeHash));
        return reply;
    }

    public override async Task<FollowingResponse> Following(FollowingRequest request, ServerCallContext context)
    {
        if (tables.Closed is { } closed)
            throw closed.ToException();
        using CallDeadline deadline = deadlines.Start(context);
        try
        {
            return await following.AllAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            throw deadline.Expired("the other nodes of the site have not answered");
        }
    }

    public override async Task<AdoptResponse> Adopt(AdoptRequest request, ServerCallContext context)
    {
        token.ThrowUnlessCarriedBy(context);
        ServedTable table = Find(request.Table);
        using CallDeadline deadline = deadlines.Start(context);
        try
        {
            long revision = table.Group.Reader.Revision;
            if (await following.AdoptAsync(table, deadline.Token) is { } refused)
                throw refused.ToException();
            return new AdoptResponse { Header = table.Header(revision) };
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            throw deadline.Expired("it may have been begun; Following tells");
        }
    }

    private ServedTable Find(ByteString table) => table.IsEmpty ? throw Sentences.TableMustBeSet.ToException() : tables.Get(table);

    private long Member(ulong nodeId)
    {
        if (nodeId <= long.MaxValue && site.Members.Contains((long)nodeId))
            return (long)nodeId;
        string members = string.Join(", ", site.Members.Select(member => member.ToString(CultureInfo.InvariantCulture)));
        throw Rejection.Invalid($"node_id {nodeId} is no node of this site, which has {members}").ToException();
    }
}
