using System.Collections.Immutable;
using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.Peer;
using Regatta.Protocol.Replication;
using Regatta.Protocol.V1;
using Regatta.Protocol.V1Ext;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>The nodes of the site: this one answers by itself, the others are asked over the connections between nodes.</summary>
/// <param name="known">What this node knows of how far the leader site's tables are.</param>
internal sealed class SiteNodes(
    ISiteLink link, NodeOptions options, NodeAddresses addresses, ServedTables tables, TableHashing hashing, SiteFollowing following, Func<Task<ProbeResponse>> known, TimeProvider time) : ISiteCalls
{
    // A member list that waits for a node that is down would be of little use.
    private static readonly TimeSpan DescribeTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan WithdrawTimeout = TimeSpan.FromSeconds(1);

    private readonly OpenQuestions _open = new();

    public ImmutableArray<long> Members => link.Nodes;

    public Task<NodeHashes> HashAsync(long nodeId, ServedTable table, long revision, CancellationToken deadline) => nodeId == options.RaftNodeId
        ? hashing.HashAsync(table, revision, deadline)
        : AskForHashesAsync(nodeId, revision, new NodeQuestion { Hash = Request(table, revision) }, deadline);

    public Task<NodeHashes> ChainAsync(long nodeId, ServedTable table, long revision, CancellationToken deadline) => nodeId == options.RaftNodeId
        ? hashing.ChainAsync(table, revision, deadline)
        : AskForHashesAsync(nodeId, revision, new NodeQuestion { Chain = Request(table, revision) }, deadline);

    public async Task<Member> DescribeAsync(long nodeId, CancellationToken deadline)
    {
        if (nodeId == options.RaftNodeId)
            return Self();
        using TimeLimit limit = new(DescribeTimeout, time, deadline);
        try
        {
            NodeAnswer answer = await AskAsync(nodeId, new NodeQuestion { Member = new MemberQuestion() }, limit.Token);
            if (answer.AnswerCase == NodeAnswer.AnswerOneofCase.Member)
                return answer.Member;
        }
        catch (Exception e) when (e is IOException or InvalidProtocolBufferException or OperationCanceledException)
        {
            deadline.ThrowIfCancellationRequested();
        }

        Member silent = new() { Id = Text(nodeId) };
        silent.PeerURLs.Add(options.RaftInitialMembers[nodeId]);
        return silent;
    }

    public async Task<Rejection?> MoveLeaderAsync(ServedTable table, long nodeId, CancellationToken deadline) =>
        await table.Group.MoveLeaderAsync(nodeId, deadline) is { } obstacle ? new Rejection(StatusCode.Unavailable, obstacle) : null;

    /// <summary>What this node says to another one that asks.</summary>
    public async Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> question, CancellationToken cancellationToken)
    {
        NodeQuestion asked = NodeQuestion.Parser.ParseFrom(question.Span);
        NodeAnswer answer = asked.QuestionCase switch
        {
            NodeQuestion.QuestionOneofCase.Member => new NodeAnswer { Member = Self() },
            NodeQuestion.QuestionOneofCase.Hash => await HashAsync(asked.Id, asked.Hash, hashing.HashAsync, cancellationToken),
            NodeQuestion.QuestionOneofCase.Chain => await HashAsync(asked.Id, asked.Chain, hashing.ChainAsync, cancellationToken),
            NodeQuestion.QuestionOneofCase.Withdrawn => Withdraw(asked.Withdrawn),
            NodeQuestion.QuestionOneofCase.Following => new NodeAnswer { Following = following.Local() },
            NodeQuestion.QuestionOneofCase.Adopt => Adopt(asked.Adopt),
            NodeQuestion.QuestionOneofCase.Reach => new NodeAnswer { Reach = new ReachAnswer { Reaches = await following.ReachesAsync(asked.Reach.Table.ToStringUtf8(), cancellationToken) } },
            NodeQuestion.QuestionOneofCase.Probe => new NodeAnswer { Probe = await known() },
            _ => Refused(new Rejection(StatusCode.Unimplemented, $"node {options.RaftNodeId} does not know the question; it runs an older version")),
        };
        return answer.ToByteArray();
    }

    private async Task<NodeHashes> AskForHashesAsync(long nodeId, long revision, NodeQuestion question, CancellationToken deadline)
    {
        question.Id = ByteString.CopyFrom(Guid.NewGuid().ToByteArray());
        try
        {
            NodeAnswer answer = await AskAsync(nodeId, question, deadline);
            return answer.AnswerCase == NodeAnswer.AnswerOneofCase.Hash
                ? Hashes(answer.Hash)
                : NodeHashes.Failed(nodeId, revision, new Rejection((StatusCode)answer.Refusal.Code, answer.Refusal.Sentence));
        }
        catch (Exception e) when (e is IOException or InvalidProtocolBufferException or OperationCanceledException)
        {
            if (e is OperationCanceledException)
                _ = WithdrawAsync(nodeId, question.Id);
            string why = e is OperationCanceledException ? "it did not answer within the deadline" : e.Message;
            return NodeHashes.Failed(nodeId, revision, new Rejection(StatusCode.Unavailable, $"node {nodeId} has no answer: {why}"));
        }
    }

    private async Task<NodeAnswer> HashAsync(
        ByteString id, TableHashRequest asked, Func<ServedTable, long, CancellationToken, Task<NodeHashes>> hash, CancellationToken cancellationToken)
    {
        try
        {
            ServedTable table = tables.Get(asked.Table);
            NodeHashes hashes = await _open.WorkAsync(id, token => hash(table, (long)asked.Revision, token), cancellationToken);
            return hashes.Failure is { } failure ? Refused(failure) : new NodeAnswer { Hash = Replies.NodeHash(hashes) };
        }
        catch (RpcException e)
        {
            return Refused(new Rejection(e.StatusCode, e.Status.Detail));
        }
    }

    private NodeAnswer Adopt(AdoptRequest asked)
    {
        try
        {
            return following.AdoptHere(tables.Get(asked.Table)) is { } refused ? Refused(refused) : new NodeAnswer { Adopt = new AdoptResponse() };
        }
        catch (RpcException e)
        {
            return Refused(new Rejection(e.StatusCode, e.Status.Detail));
        }
    }

    private NodeAnswer Withdraw(ByteString id)
    {
        _open.Withdraw(id);
        return new NodeAnswer();
    }

    /// <summary>
    /// Questions are taken up in their order, so this one finds the other. If it does not get there the connection is broken, and that withdraws all. Ends
    /// by itself and does not throw; whoever cancelled does not wait for it.
    /// </summary>
    private async Task WithdrawAsync(long nodeId, ByteString id)
    {
        try
        {
            using CancellationTokenSource limit = new(WithdrawTimeout, time);
            await AskAsync(nodeId, new NodeQuestion { Withdrawn = id }, limit.Token);
        }
        catch (Exception e) when (e is IOException or InvalidProtocolBufferException or OperationCanceledException)
        {
            // As above.
        }
    }

    private async Task<NodeAnswer> AskAsync(long nodeId, NodeQuestion question, CancellationToken cancellationToken) =>
        NodeAnswer.Parser.ParseFrom((await link.AskAsync(nodeId, question.ToByteArray(), cancellationToken)).Span);

    private Member Self()
    {
        Member self = new() { Id = Text(options.RaftNodeId), Name = options.EffectiveNodeName };
        self.PeerURLs.Add(options.RaftInitialMembers.GetValueOrDefault(options.RaftNodeId, options.RaftAddress));
        self.ClientURLs.Add(addresses.Advertised);
        return self;
    }

    private static TableHashRequest Request(ServedTable table, long revision) =>
        new() { Table = ByteString.CopyFromUtf8(table.Name), Revision = (ulong)revision };

    private static NodeAnswer Refused(Rejection rejection) => new() { Refusal = new Refusal { Code = (int)rejection.Code, Sentence = rejection.Sentence } };

    private static NodeHashes Hashes(NodeHash hash) => new(
        (long)hash.NodeId,
        (long)hash.Revision,
        hash.Hash.IsEmpty ? null : new TableHash(Replies.HashOf(hash.Hash)),
        new ChainHash(Replies.HashOf(hash.ChainHash)),
        null);

    private static string Text(long nodeId) => nodeId.ToString(CultureInfo.InvariantCulture);
}
