using Grpc.Core;
using Microsoft.Extensions.Logging;
using Regatta.Core;
using Regatta.Protocol.Channels;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>What a node of a follower site has beyond one of the leader site: the way to the leader site, and what pulls over it.</summary>
internal sealed class FollowerParts : IAsyncDisposable
{
    // A node that does not answer at once is no better than the one that asks.
    private static readonly TimeSpan ReachTimeout = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _stopping = new();
    private readonly LeaderStates _states;
    private readonly Catalogue _catalogue;
    private readonly TableReconciler _reconciler;
    private readonly GrpcLeaderSite _site;
    private readonly Func<IEnumerable<PullTarget>> _targets;
    private readonly SitePuller _puller;
    private readonly GoCatalogue? _goCatalogue;
    private readonly FirstTables _firstTables;
    private readonly TimeProvider _time;
    private readonly Task _pulling;

    private FollowerParts(
        NodeOptions options, IGroupHost groups, Catalogue catalogue, TableReconciler reconciler, Guid history, ServedTables served, TimeProvider time, ILoggerFactory loggers)
    {
        bool isUnderGo = GoHistory.Is(history);
        _time = time;
        Leader = Endpoints(options, isUnderGo, time);
        _states = new LeaderStates(groups, Leader, (int)options.ReplicationMaxRecoveries);
        _site = new GrpcLeaderSite(Leader, time);
        PullTarget system = new(LeaderTables.Catalogue, new Incarnation(history, CatalogueKeys.CatalogueLife), catalogue.Group);
        _targets = () => [system, .. served.Snapshot.Tables.Select(static table => new PullTarget(table.Name, table.Incarnation, table.Group))];
        _catalogue = catalogue;
        _reconciler = reconciler;
        // A leader site of the Go project tells its tables in another way.
        _puller = new SitePuller(
            isUnderGo ? () => _targets().Skip(1) : _targets,
            options.RaftNodeId,
            comparesHistory: !isUnderGo,
            _site,
            new PullOptions { PollInterval = options.ReplicationPollInterval },
            Random.Shared,
            time,
            loggers.CreateLogger<SitePuller>(),
            isUnderGo ? null : _states);
        _goCatalogue = isUnderGo
            ? new GoCatalogue(catalogue, options.RaftNodeId, _site, options.ReplicationReconcileInterval, time, loggers.CreateLogger<GoCatalogue>())
            : null;
        PullHandover handover = new(groups.Site, options.RaftNodeId, _targets, Status, time, loggers.CreateLogger<PullHandover>());
        _firstTables = new FirstTables(_site, () => catalogue.Group.Reader.Revision, time);
        _pulling = Task.WhenAll(
            _puller.RunAsync(_stopping.Token),
            handover.RunAsync(_stopping.Token),
            _firstTables.RunAsync(_stopping.Token),
            _goCatalogue?.RunAsync(_stopping.Token) ?? Task.CompletedTask);
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
            if (known == 0 && !_firstTables.AreNone && CatalogueStatus is not { State: PullState.Following })
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
        NodeOptions options, IGroupHost groups, Catalogue catalogue, TableReconciler reconciler, Guid history, ServedTables served, TimeProvider time, ILoggerFactory loggers) =>
        new(options, groups, catalogue, reconciler, history, served, time, loggers);

    /// <summary>What this node's puller of a table is doing; null: another node pulls for it.</summary>
    public PullStatus? Status(long groupId) =>
        _goCatalogue is not null && groupId == CatalogueKeys.CatalogueGroup ? _goCatalogue.Status : _puller.Status(groupId);

    /// <summary>As <see cref="TablePuller.Adopt"/>.</summary>
    public Rejection? Adopt(long groupId)
    {
        if (IsUnderGo)
            return new Rejection(StatusCode.FailedPrecondition, "the leader site is one of the Go project, which does not tell histories apart");
        if (_puller.Find(groupId) is not { } puller)
            return new Rejection(StatusCode.Unavailable, "the pulling for the table is moving from one node to another; try again");
        return puller.Adopt() is { } obstacle ? new Rejection(StatusCode.FailedPrecondition, obstacle) : null;
    }

    /// <summary>Whether the leader site gives this node something of a table that it could go on with.</summary>
    public async Task<bool> ReachesAsync(string table, CancellationToken cancellationToken)
    {
        if (_targets().FirstOrDefault(target => target.Name == table) is not { } target)
            return false;
        using TimeLimit limit = new(ReachTimeout, _time, cancellationToken);
        for (int tries = 0; tries < Leader.Count; tries++)
        {
            try
            {
                return await AnswersAsync(target, limit.Token);
            }
            catch (LeaderSiteException e) when (e.Failure == LeaderFailure.Unreachable)
            {
                // The next node of the leader site is asked.
            }
            catch (Exception e) when (e is LeaderSiteException or InvalidDataException or OperationCanceledException)
            {
                return false;
            }
        }

        return false;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _pulling;
        _states.Dispose();
        Leader.Dispose();
        _stopping.Dispose();
    }

    private async Task<bool> AnswersAsync(PullTarget target, CancellationToken cancellationToken)
    {
        if (IsUnderGo && target.Name == LeaderTables.Catalogue)
        {
            await _site.TablesAsync(cancellationToken);
            return true;
        }

        await foreach (PulledItem item in _site.PullAsync(target.Name, new FeedPosition(target.Group.Reader.Revision + 1, target.Incarnation, null), cancellationToken))
            return item.Item is not FeedItem.Diverged;
        return true;
    }
}
