using Microsoft.Extensions.Logging;
using Regatta.Core;
using Regatta.Protocol.Channels;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>What a node of a follower site has beyond one of the leader site: the way to the leader site, and what pulls over it.</summary>
internal sealed class FollowerParts : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly LeaderStates _states;
    private readonly Catalogue _catalogue;
    private readonly TableReconciler _reconciler;
    private readonly SitePuller _puller;
    private readonly GoCatalogue? _goCatalogue;
    private readonly Task _pulling;

    private FollowerParts(ChannelSet leader, LeaderStates states, Catalogue catalogue, TableReconciler reconciler, SitePuller puller, GoCatalogue? goCatalogue)
    {
        _states = states;
        Leader = leader;
        _catalogue = catalogue;
        _reconciler = reconciler;
        _puller = puller;
        _goCatalogue = goCatalogue;
        _pulling = Task.WhenAll(puller.RunAsync(_stopping.Token), goCatalogue?.RunAsync(_stopping.Token) ?? Task.CompletedTask);
    }

    public ChannelSet Leader { get; }

    /// <summary>The leader site that is followed is one of the Go project.</summary>
    public bool IsUnderGo => _goCatalogue is not null;

    /// <summary>What the node waits for before it serves the tables that it knows of; null: nothing.</summary>
    public string? Waiting
    {
        get
        {
            long known = _catalogue.Group.Reader.Revision;
            if (known == 0 && CatalogueStatus is not { State: PullState.Following })
                return "waiting for the leader site's catalogue" + (CatalogueStatus is { Reason.Length: > 0 } status ? ": " + status.Reason : "");
            return _reconciler.Reached < known ? "opening new tables" : null;
        }
    }

    private PullStatus? CatalogueStatus => Status(CatalogueKeys.CatalogueGroup);

    /// <param name="isUnderGo">The leader site is one of the Go project; while that is not known, false.</param>
    public static ChannelSet Endpoints(NodeOptions options, bool isUnderGo, TimeProvider time) =>
        LeaderEndpoints.Open(options.ReplicationLeaderAddress, (int)options.ReplicationMaxReceiveBytes, (int)options.RaftNodeId, isUnderGo, time);

    /// <summary>Begins to pull.</summary>
    public static FollowerParts Start(
        NodeOptions options, IGroupHost groups, Catalogue catalogue, TableReconciler reconciler, Guid history, ServedTables served, TimeProvider time, ILoggerFactory loggers)
    {
        bool isUnderGo = GoHistory.Is(history);
        ChannelSet leader = Endpoints(options, isUnderGo, time);
        LeaderStates states = new(groups, leader, (int)options.ReplicationMaxRecoveries);
        GrpcLeaderSite site = new(leader, time);
        PullTarget[] system = isUnderGo ? [] : [new PullTarget(LeaderTables.Catalogue, new Incarnation(history, CatalogueKeys.CatalogueLife), catalogue.Group)];
        SitePuller puller = new(
            () => [.. system, .. served.Snapshot.Tables.Select(static table => new PullTarget(table.Name, table.Incarnation, table.Group))],
            options.RaftNodeId,
            comparesHistory: !isUnderGo,
            site,
            new PullOptions { PollInterval = options.ReplicationPollInterval },
            Random.Shared,
            time,
            loggers.CreateLogger<SitePuller>(),
            isUnderGo ? null : states);
        GoCatalogue? goCatalogue = isUnderGo
            ? new GoCatalogue(catalogue, options.RaftNodeId, site, options.ReplicationReconcileInterval, time, loggers.CreateLogger<GoCatalogue>())
            : null;
        return new FollowerParts(leader, states, catalogue, reconciler, puller, goCatalogue);
    }

    /// <summary>What this node's puller of a table is doing; null: another node pulls for it.</summary>
    public PullStatus? Status(long groupId) =>
        _goCatalogue is not null && groupId == CatalogueKeys.CatalogueGroup ? _goCatalogue.Status : _puller.Status(groupId);

    /// <summary>As <see cref="TablePuller.Adopt"/>.</summary>
    public string? Adopt(long groupId) => IsUnderGo ? "the leader site is one of the Go project, which does not tell histories apart" : _puller.Adopt(groupId);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _pulling;
        _states.Dispose();
        Leader.Dispose();
        _stopping.Dispose();
    }
}
