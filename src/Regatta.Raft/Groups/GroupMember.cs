using System.Buffers.Binary;
using System.Net;
using DotNext.IO;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Regatta.Raft;

/// <summary>
/// A member of a group as DotNext sees it. This one is the node itself: it grants its own vote and is never sent anything. Members on other nodes
/// come with the transport; they differ in the calls below and in nothing else.
/// </summary>
internal sealed class GroupMember(long nodeId, Func<GroupMember?> leader) : IRaftClusterMember, IDisposable
{
    private static readonly IReadOnlyDictionary<string, string> NoMetadata = new Dictionary<string, string>();

    private IRaftClusterMember.ReplicationState _replication;

    /// <summary>Not used for its own status: the node answers for itself or not at all.</summary>
    public event Action<ClusterMemberStatusChangedEventArgs>? MemberStatusChanged
    {
        add { }
        remove { }
    }

    public long NodeId => nodeId;

    /// <summary>Made of the node's id and nothing else, so that a vote stays the same member's when its address changes.</summary>
    public ClusterMemberId Id { get; } = IdOf(nodeId);

    public EndPoint EndPoint { get; } = new DnsEndPoint($"node-{nodeId}", 1);

    public bool IsRemote => false;

    public bool IsLeader => ReferenceEquals(leader(), this);

    public ClusterMemberStatus Status => ClusterMemberStatus.Available;

    ref IRaftClusterMember.ReplicationState IRaftClusterMember.State => ref _replication;

    public static ClusterMemberId IdOf(long nodeId)
    {
        Span<byte> bytes = stackalloc byte[ClusterMemberId.Size];
        bytes.Clear();
        BinaryPrimitives.WriteInt64LittleEndian(bytes, nodeId);
        return new ClusterMemberId(bytes);
    }

    public ValueTask<IReadOnlyDictionary<string, string>> GetMetadataAsync(bool refresh, CancellationToken token) => new(NoMetadata);

    public Task<Result<bool>> VoteAsync(long term, long lastLogIndex, long lastLogTerm, CancellationToken token) =>
        Task.FromResult(new Result<bool> { Term = term, Value = true });

    public Task<Result<PreVoteResult>> PreVoteAsync(long term, long lastLogIndex, long lastLogTerm, CancellationToken token) =>
        Task.FromResult(new Result<PreVoteResult> { Term = term, Value = PreVoteResult.Accepted });

    public Task<Result<ReplicationStatus>> AppendEntriesAsync<TEntry, TList>(
        long term, TList entries, long prevLogIndex, long prevLogTerm, long commitIndex, CancellationToken token)
        where TEntry : IRaftLogEntry
        where TList : IReadOnlyList<TEntry> => throw SentToItself();

    public Task<Result<HeartbeatResult>> InstallSnapshotAsync(
        long term, IRaftLogEntry snapshot, long snapshotIndex, IDataTransferObject configuration, long configurationVersion, CancellationToken token) =>
        throw SentToItself();

    public Task<long?> SynchronizeAsync(long commitIndex, CancellationToken token) => throw SentToItself();

    public Task<bool> ResignAsync(CancellationToken token) => Task.FromResult(false);

    public ValueTask CancelPendingRequestsAsync() => default;

    public void Dispose()
    {
    }

    private InvalidOperationException SentToItself() => new($"Node {nodeId} was about to send a Raft message to itself.");
}
