using System.Buffers.Binary;
using System.Net;
using DotNext.IO;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Regatta.Raft;

/// <summary>
/// A member of a group as DotNext sees it. The node itself grants its own vote and is never sent anything; a member on another node is asked by
/// calls, each with a deadline, and whatever goes wrong with one is "unavailable".
/// </summary>
/// <param name="peer">The node of the member; null: this node.</param>
internal sealed partial class GroupMember(long groupId, long nodeId, IPeer? peer, MemberContext context) : IRaftClusterMember, IDisposable
{
    private static readonly IReadOnlyDictionary<string, string> NoMetadata = new Dictionary<string, string>();

    private IRaftClusterMember.ReplicationState _replication;

    /// <summary>Not used: the transport tells of connections.</summary>
    public event Action<ClusterMemberStatusChangedEventArgs>? MemberStatusChanged
    {
        add { }
        remove { }
    }

    public long NodeId => nodeId;

    /// <summary>Made of the node's id and nothing else, so that a vote stays the same member's when its address changes.</summary>
    public ClusterMemberId Id { get; } = IdOf(nodeId);

    public EndPoint EndPoint { get; } = new DnsEndPoint($"node-{nodeId}", 1);

    public bool IsRemote => peer is not null;

    public bool IsLeader => ReferenceEquals(context.Leader(), this);

    public ClusterMemberStatus Status => peer is null or { IsConnected: true } ? ClusterMemberStatus.Available : ClusterMemberStatus.Unavailable;

    ref IRaftClusterMember.ReplicationState IRaftClusterMember.State => ref _replication;

    public static ClusterMemberId IdOf(long nodeId)
    {
        Span<byte> bytes = stackalloc byte[ClusterMemberId.Size];
        bytes.Clear();
        BinaryPrimitives.WriteInt64LittleEndian(bytes, nodeId);
        return new ClusterMemberId(bytes);
    }

    public static long NodeOf(in ClusterMemberId id)
    {
        Span<byte> bytes = stackalloc byte[ClusterMemberId.Size];
        id.Format(bytes);
        return BinaryPrimitives.ReadInt64LittleEndian(bytes);
    }

    public ValueTask<IReadOnlyDictionary<string, string>> GetMetadataAsync(bool refresh, CancellationToken token) => new(NoMetadata);

    public async Task<Result<bool>> VoteAsync(long term, long lastLogIndex, long lastLogTerm, CancellationToken token)
    {
        VoteRequest question = new(term, lastLogIndex, lastLogTerm, context.IsTransfer());
        (long theirs, long answer) = await AskAsync(context.Votes, PeerMethod.Vote, question, (term, 1), static answer => answer == 1, token).ConfigureAwait(false);
        return new Result<bool> { Term = theirs, Value = answer == 1 };
    }

    public async Task<Result<PreVoteResult>> PreVoteAsync(long term, long lastLogIndex, long lastLogTerm, CancellationToken token)
    {
        const long Accepted = (long)PreVoteResult.Accepted;
        VoteRequest question = new(term + 1, lastLogIndex, lastLogTerm, context.IsTransfer());
        (long theirs, long answer) = await AskAsync(context.PreVotes, PeerMethod.PreVote, question, (term, Accepted), static answer => answer == Accepted, token).ConfigureAwait(false);
        return new Result<PreVoteResult> { Term = theirs, Value = (PreVoteResult)answer };
    }

    /// <summary>Tells the member that it needs the state up to the cut; it fetches that by itself and is not up to date meanwhile.</summary>
    public async Task<Result<HeartbeatResult>> InstallSnapshotAsync(
        long term, IRaftLogEntry snapshot, long snapshotIndex, IDataTransferObject configuration, long configurationVersion, CancellationToken token)
    {
        Volatile.Write(ref _askedAt, context.Time.GetTimestamp());
        byte[] request = RaftMessages.Encode(new SnapshotNotice(term, snapshotIndex, snapshot.Term));
        AppendReply reply = RaftMessages.DecodeAppendReply(
            await TellAsync(Present(), PeerMethod.InstallSnapshot, request, token).ConfigureAwait(false));
        // The same guard: what it holds is the cut, not what the round was about.
        HeartbeatResult result = reply.Result == HeartbeatResult.ReplicatedWithLeaderTerm ? HeartbeatResult.Replicated : reply.Result;
        return new Result<HeartbeatResult> { Term = reply.Term, Value = result };
    }

    /// <summary>DotNext's own read barrier of a follower, which no quorum confirms: not used. Nodes ask the leader by <see cref="PeerMethod.ReadIndex"/>.</summary>
    public Task<long?> SynchronizeAsync(long commitIndex, CancellationToken token) => throw new NotSupportedException("Followers read by ReadIndex.");

    /// <summary>Not used: a leader hands over to a node that is ready, see <see cref="LeaderTransfer"/>.</summary>
    public Task<bool> ResignAsync(CancellationToken token) => Task.FromResult(false);

    public ValueTask CancelPendingRequestsAsync() => default;

    public void Dispose() => Interlocked.Exchange(ref _deadline, null)?.Dispose();

    private async Task<(long Term, long Answer)> AskAsync(
        Ballots ballots, PeerMethod method, VoteRequest question, (long Term, long Answer) own, Func<long, bool> isFor, CancellationToken token)
    {
        Ballot ballot = ballots.Ask(nodeId);
        (long Term, long Answer) reply = own;
        try
        {
            if (peer is not null)
            {
                // A candidate has to wait for every answer that may decide; a member that stands still must not take up all of its time, and one that is back answers at once.
                TimeSpan timeout = peer.Silence < context.Options.ElectionTimeout / 2 ? context.Options.VoteTimeout : context.Options.HeartbeatInterval;
                using TimeLimit deadline = new(timeout, context.Time, token, ballot.Decided);
                reply = RaftMessages.DecodeVoteReply(await CallAsync(peer, method, RaftMessages.Encode(question), deadline.Token, token).ConfigureAwait(false));
            }
        }
        catch (Exception e) when (e is MemberUnavailableException or InvalidDataException)
        {
            ballot.Count(isFor: false);
            throw e as MemberUnavailableException ?? new MemberUnavailableException(this, innerException: e);
        }

        ballot.Count(isFor(reply.Answer));
        return reply;
    }

    private IPeer Other() => peer ?? throw new InvalidOperationException($"Node {nodeId} was about to send a Raft message to itself.");

    /// <param name="token">The caller's own.</param>
    private async Task<ReadOnlyMemory<byte>> CallAsync(IPeer other, PeerMethod method, byte[] request, CancellationToken deadline, CancellationToken token)
    {
        try
        {
            return await other.CallAsync(groupId, method, request, deadline).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            throw new OperationCanceledException(token);
        }
        catch (Exception e) when (e is PeerUnavailableException or PeerCallException or OperationCanceledException or InvalidDataException)
        {
            throw new MemberUnavailableException(this, innerException: e);
        }
    }
}

/// <summary>What the members of a group share.</summary>
/// <param name="Log">This node's.</param>
/// <param name="MembersCount">Members of the group, this node included.</param>
/// <param name="IsTransfer">This node stands for election because the leader has asked it to.</param>
/// <param name="Lags">A member has answered and does not have all of the log yet.</param>
internal sealed record MemberContext(
    EntryLog Log, int MembersCount, Func<GroupMember?> Leader, Func<bool> IsTransfer, Action Lags, GroupOptions Options, TimeProvider Time)
{
    /// <summary>Null: nothing is written down.</summary>
    public GroupTrace? Trace { get; init; }

    public Ballots PreVotes { get; } = new(MembersCount);

    public Ballots Votes { get; } = new(MembersCount);
}
