using System.Buffers.Binary;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>What a node has to do with the others of its site: connections, the founding, recovery, snapshots. Hands their calls to whom they concern.</summary>
internal sealed class SiteNetwork : IPeerHandler, ISiteLink, IAsyncDisposable
{
    private readonly NodeDirectory _directory;
    private readonly StartProgress _progress;
    private readonly ILoggerFactory _loggers;
    private readonly TimeProvider _time;
    private readonly PeerNetwork _peers;
    private readonly SiteBootstrap _bootstrap;
    private ISiteGroups _groups = NoGroups.Instance;
    private RaftLogStore? _log;
    private SnapshotSource? _source;
    private GroupRecovery? _recovery;
    private TimeSpan _patience;
    private Func<ReadOnlyMemory<byte>, CancellationToken, Task<ReadOnlyMemory<byte>>>? _answer;

    public SiteNetwork(NodeDirectory directory, SiteOptions options, StartProgress progress, ILoggerFactory loggers, TimeProvider time)
    {
        _directory = directory;
        _progress = progress;
        _loggers = loggers;
        _time = time;
        NodeIdentity identity = directory.Identity;
        _peers = new PeerNetwork(
            new PeerNetworkOptions
            {
                NodeId = identity.NodeId,
                Members = options.Members,
                ListenAddress = options.ListenAddress,
                SiteName = options.Name,
                StoreId = identity.Store,
                History = () => directory.Identity.History is var history && history != Guid.Empty ? history : null,
            },
            this,
            loggers,
            time);
        Members = new SiteMembers(identity.NodeId, options.Members.Keys, id => _peers[id]);
        _bootstrap = new SiteBootstrap(directory, Members, options.NewHistory, progress, time, loggers.CreateLogger<SiteBootstrap>());
    }

    public SiteMembers Members { get; }

    public ImmutableArray<long> Nodes => Members.Ids;

    public ImmutableArray<string> Unreachable => _peers.Unreachable;

    /// <summary>After <see cref="StartAsync"/> has begun.</summary>
    public GroupRecovery Recovery => _recovery ?? throw new InvalidOperationException("The network has not started.");

    /// <summary>Listens, dials, and returns when the node belongs to a site.</summary>
    /// <param name="source">Serves this node's states; stays the caller's.</param>
    public async Task StartAsync(ISiteGroups groups, SnapshotSource source, RaftLogStore log, GroupOptions groupOptions, CancellationToken cancellationToken)
    {
        _log = log;
        _patience = groupOptions.HeartbeatInterval;
        _recovery = new GroupRecovery(_directory, log, Members, groupOptions, _progress, _time, _loggers);
        _source = source;
        Volatile.Write(ref _groups, groups);
        _progress.Needs(this);
        await _peers.StartAsync(cancellationToken).ConfigureAwait(false);
        await _bootstrap.RunAsync(cancellationToken).ConfigureAwait(false);
    }

    public Task<ReadOnlyMemory<byte>> AskAsync(long nodeId, ReadOnlyMemory<byte> question, CancellationToken cancellationToken) =>
        Members.Ids.Contains(nodeId) && Members.Peer(nodeId) is { } peer
            ? peer.CallAsync(0, PeerMethod.Node, question, cancellationToken)
            : Task.FromException<ReadOnlyMemory<byte>>(new IOException($"Node {nodeId} is no other node of this site."));

    public void AnswerBy(Func<ReadOnlyMemory<byte>, CancellationToken, Task<ReadOnlyMemory<byte>>> answer) => Volatile.Write(ref _answer, answer);

    public async ValueTask<ReadOnlyMemory<byte>> HandleAsync(
        long fromNode, long group, PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        switch (method)
        {
            case PeerMethod.Site when group == 0:
                return _bootstrap.Answer();
            case PeerMethod.Site:
                return GroupRecovery.Answer(KnownTerm(group));
            case PeerMethod.Found:
                return _bootstrap.OnFounded(request);
            case PeerMethod.Commits:
                await CommitNotices.ReceiveAsync(request, group => Volatile.Read(ref _groups).Find(group)?.Entries).ConfigureAwait(false);
                return default;
            case PeerMethod.Beats:
                return await Heartbeats.ReceiveAsync(fromNode, request, Volatile.Read(ref _groups).Find, _patience, _time, cancellationToken).ConfigureAwait(false);
            case PeerMethod.Node:
                return Volatile.Read(ref _answer) is { } answer
                    ? await answer(request, cancellationToken).ConfigureAwait(false)
                    : throw new IOException("the node is starting");
            case PeerMethod.SnapshotOpen or PeerMethod.SnapshotRead or PeerMethod.SnapshotClose when _source is { } source:
                return await source.HandleAsync(fromNode, group, method, request, cancellationToken).ConfigureAwait(false);
            case PeerMethod.Stage:
                bool isHere = Volatile.Read(ref _groups).Stage(fromNode, group, BinaryPrimitives.ReadUInt128LittleEndian(request.Span));
                return new byte[] { isHere ? (byte)1 : (byte)0 };
            default:
                return Volatile.Read(ref _groups).Find(group) is { } found
                    ? await found.Endpoint.HandleAsync(fromNode, method, request, cancellationToken).ConfigureAwait(false)
                    : NotHere(group, method);
        }
    }

    public ValueTask DisposeAsync() => _peers.DisposeAsync();

    /// <summary>Null: this node's disk is not the one that knew; what it says of terms is worth nothing.</summary>
    private long? KnownTerm(long group)
    {
        if (Volatile.Read(ref _groups).Find(group) is { } running)
            return running.Term;
        return _directory.Identity.Standing == NodeStanding.Member ? _log?.ReadHardState(group)?.Term ?? 0 : null;
    }

    private static ReadOnlyMemory<byte> NotHere(long group, PeerMethod method) => method is PeerMethod.Propose or PeerMethod.ReadIndex
        ? RaftMessages.EncodeOutcome(GroupFailure.NoLeader, "The table's group does not run on the node that was taken for its leader; nothing happened.", [])
        : throw new IOException($"group {group} does not run on this node");

    private sealed class NoGroups : ISiteGroups
    {
        public static readonly NoGroups Instance = new();

        public TableGroup? Find(long groupId) => null;

        public bool Stage(long fromNode, long groupId, UInt128 files) => false;
    }
}

/// <summary>The groups of this node, for what other nodes ask of them. Thread-safe.</summary>
internal interface ISiteGroups
{
    /// <summary>Null: it does not run here.</summary>
    TableGroup? Find(long groupId);

    /// <summary>Another node has a state of these files, which this node is to have, too: fetches it in the background.</summary>
    /// <returns>It is here.</returns>
    bool Stage(long fromNode, long groupId, UInt128 files);
}
