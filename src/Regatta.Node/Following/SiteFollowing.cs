using Google.Protobuf;
using Grpc.Core;
using Regatta.Protocol.Peer;
using Regatta.Protocol.V1;
using Regatta.Protocol.V1Ext;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>How the tables of the site follow the leader site: of each what the node says that pulls for it.</summary>
/// <param name="follower">Null: this is the leader site.</param>
internal sealed class SiteFollowing(FollowerParts? follower, NodeOptions options, Catalogue catalogue, ServedTables served, ISiteLink link, TimeProvider time)
{
    private static readonly TimeSpan AskTimeout = TimeSpan.FromSeconds(1);

    /// <summary>As this node sees a table; null: this is the leader site.</summary>
    public Following? Describe(ITableGroup group) => follower is null ? null : Describe(group, follower.Status(group.GroupId));

    /// <summary>As this node sees all tables.</summary>
    public FollowingResponse Local()
    {
        FollowingResponse reply = new() { IsFollower = follower is not null };
        if (follower is null)
            return reply;
        reply.LeaderAddresses.AddRange(options.ReplicationLeaderAddress.Select(static address => address.GetLeftPart(UriPartial.Authority)));
        reply.Tables.Add(Row(LeaderTables.Catalogue, catalogue.Group));
        reply.Tables.AddRange(served.Snapshot.Tables.Select(table => Row(table.Name, table.Group)));
        return reply;
    }

    /// <summary>As the site's nodes see them.</summary>
    public async Task<FollowingResponse> AllAsync(CancellationToken deadline)
    {
        FollowingResponse reply = Local();
        if (follower is null)
            return reply;
        FollowingResponse?[] others = await Task.WhenAll(link.Nodes.Where(node => node != options.RaftNodeId).Select(node => AskAsync(node, deadline)));
        foreach (FollowedTable table in reply.Tables.Where(static table => table.Following.State == Following.Types.State.Elsewhere))
        {
            FollowedTable? puller = others.OfType<FollowingResponse>().SelectMany(static other => other.Tables)
                .FirstOrDefault(other => other.Name == table.Name && other.Following.State != Following.Types.State.Elsewhere);
            if (puller is null)
                continue;
            table.Revision = puller.Revision;
            table.Following = puller.Following;
        }

        return reply;
    }

    /// <summary>Has the node that pulls for a table adopt the leader site's state, see <see cref="TablePuller.Adopt"/>.</summary>
    /// <returns>Null: it is begun. Else why not.</returns>
    public async Task<Rejection?> AdoptAsync(ServedTable table, CancellationToken deadline)
    {
        long puller = table.Group.LeaderNodeId;
        if (follower is null || puller == options.RaftNodeId)
            return AdoptHere(table);
        if (puller == 0)
            return new Rejection(StatusCode.Unavailable, "no node leads the table's group, so none pulls for the table");
        try
        {
            NodeQuestion question = new() { Adopt = new AdoptRequest { Table = ByteString.CopyFromUtf8(table.Name) } };
            NodeAnswer answer = NodeAnswer.Parser.ParseFrom((await link.AskAsync(puller, question.ToByteArray(), deadline)).Span);
            return answer.Refusal is { } refusal ? new Rejection((StatusCode)refusal.Code, refusal.Sentence) : null;
        }
        catch (Exception e) when (e is IOException or InvalidProtocolBufferException)
        {
            return new Rejection(StatusCode.Unavailable, $"node {puller}, which pulls for the table, has no answer: {e.Message}");
        }
    }

    /// <summary>As <see cref="AdoptAsync"/>, if this node pulls for the table.</summary>
    public Rejection? AdoptHere(ServedTable table) => follower is null
        ? new Rejection(StatusCode.FailedPrecondition, "this is the leader site: there is nothing to adopt; ask a node of a follower site")
        : follower.Adopt(table.Group.GroupId);

    /// <summary>Whether this node could pull for a table, see <see cref="FollowerParts.ReachesAsync"/>.</summary>
    public Task<bool> ReachesAsync(string table, CancellationToken cancellationToken) => follower?.ReachesAsync(table, cancellationToken) ?? Task.FromResult(false);

    private async Task<FollowingResponse?> AskAsync(long node, CancellationToken deadline)
    {
        using TimeLimit limit = new(AskTimeout, time, deadline);
        try
        {
            ReadOnlyMemory<byte> answer = await link.AskAsync(node, new NodeQuestion { Following = new FollowingRequest() }.ToByteArray(), limit.Token);
            return NodeAnswer.Parser.ParseFrom(answer.Span).Following;
        }
        catch (Exception e) when (e is IOException or InvalidProtocolBufferException or OperationCanceledException)
        {
            deadline.ThrowIfCancellationRequested();
            return null;
        }
    }

    private FollowedTable Row(string name, ITableGroup group) => new() { Name = name, Revision = (ulong)group.Reader.Revision, Following = Describe(group) };

    private Following Describe(ITableGroup group, PullStatus? status) => status is null
        ? new Following { State = Following.Types.State.Elsewhere, NodeId = group.LeaderNodeId == options.RaftNodeId ? 0 : (ulong)group.LeaderNodeId }
        : new Following
        {
            State = StateOf(status.State),
            Reason = status.Reason,
            LeaderRevision = (ulong)status.LeaderRevision,
            BehindMs = (ulong)status.Behind.TotalMilliseconds,
            BehindBytes = (ulong)status.BehindBytes,
            NodeId = (ulong)options.RaftNodeId,
        };

    private static Following.Types.State StateOf(PullState state) => state switch
    {
        PullState.Following => Following.Types.State.Following,
        PullState.CatchingUp => Following.Types.State.CatchingUp,
        PullState.Snapshot => Following.Types.State.Snapshot,
        PullState.LeaderBehind => Following.Types.State.LeaderBehind,
        PullState.Fenced => Following.Types.State.Fenced,
        PullState.LeaderUnreachable => Following.Types.State.LeaderUnreachable,
        _ => Following.Types.State.Refused,
    };
}
