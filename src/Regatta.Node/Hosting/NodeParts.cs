using System.Collections.Immutable;
using System.Text;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using Regatta.Core;
using Regatta.Protocol.V1;
using Regatta.Raft;
using Regatta.Replication;
using Regatta.Storage;

namespace Regatta.Node;

/// <summary>Opens the groups of a node's data directory. Tests put a host here that fails on demand.</summary>
internal delegate Task<IGroupHost> OpenGroups(
    NodeDirectory directory, NodeOptions options, StartProgress progress, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken);

/// <summary>
/// The parts of a node, started in the order in which they need each other and stopped in the reverse one: directory, health port, groups, catalogue,
/// tables, client port. Each part is registered for closing before the next one starts, so a start that fails half way leaves nothing open.
/// </summary>
internal sealed partial class NodeParts
{
    // Together below the ten seconds that a stop may take.
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan CloseTime = TimeSpan.FromSeconds(1);

    private readonly Stack<Func<Task>> _close = new();
    private readonly StartProgress _progress = new();
    private readonly ILogger _logger;

    /// <summary>Ends the streams of the follower sites, which would not end by themselves.</summary>
    private Func<Task> _endStreams = static () => Task.CompletedTask;
    private Action<StringBuilder>? _writeMetrics;

    /// <summary>Null: a node of the leader site.</summary>
    private FollowerParts? _follower;

    private NodeParts(ILogger logger)
    {
        _logger = logger;
        Readiness = new Readiness(Served, _progress, () => _follower?.Waiting);
    }

    public ServedTables Served { get; } = new();

    public Readiness Readiness { get; }

    public WebServer Rest { get; private set; } = null!;

    public WebServer Api { get; private set; } = null!;

    /// <summary>Null: not enabled.</summary>
    public WebServer? Replication { get; private set; }

    public IGroupHost Groups { get; private set; } = null!;

    public TableReconciler Reconciler { get; private set; } = null!;

    /// <summary>The views of IterateRange.</summary>
    public ViewSlots Iterations { get; private set; } = null!;

    /// <summary>The views of Snapshot.Stream.</summary>
    public ViewSlots Snapshots { get; private set; } = null!;

    public SiteFollowing Following { get; private set; } = null!;

    /// <summary>The revision of the catalogue that is carried out at the end of the start.</summary>
    public long CatalogueRevision { get; private set; }

    public static async Task<NodeParts> StartAsync(
        NodeOptions options, OpenGroups openGroups, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken)
    {
        NodeParts parts = new(loggers.CreateLogger<RegattaNode>());
        try
        {
            await parts.StartCoreAsync(options, openGroups, loggers, time, cancellationToken);
            return parts;
        }
        catch (Exception e)
        {
            Task<string>? failure = parts.Groups?.Failure is { IsCompleted: true } failed ? failed : null;
            parts.Served.Close("the node could not start");
            await parts.CloseAsync();
            // A failed disk ends the groups, and whoever waits for them hears only of that.
            if (e is ObjectDisposedException or NodeStartException && failure is not null)
                throw new NodeStartException(await failure, e);
            if (e is StorageException or InvalidDataException or IOException or UnauthorizedAccessException)
                throw new NodeStartException(e.Message, e);
            throw;
        }
    }

    /// <summary>Drains and closes everything; no part can keep the others from closing.</summary>
    public async Task StopAsync(TimeProvider time, CancellationToken cutShort)
    {
        using CancellationTokenSource limit = new(DrainTime, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cutShort);
        await QuietlyAsync(_endStreams);
        await Task.WhenAll(QuietlyAsync(() => Api.StopAsync(both.Token)), QuietlyAsync(() => Replication?.StopAsync(both.Token) ?? Task.CompletedTask));
        // Cut off or not, they notice soon; a view that is still open would keep its table's files open.
        using CancellationTokenSource ending = new(CloseTime, time);
        await QuietlyAsync(() => Task.WhenAll(Iterations.IdleAsync(ending.Token), Snapshots.IdleAsync(ending.Token)));
        await CloseAsync();
    }

    private async Task StartCoreAsync(NodeOptions options, OpenGroups openGroups, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken)
    {
        NodeDirectory directory = OpenDirectory(options);
        OnClose(() =>
        {
            directory.Dispose();
            return Task.CompletedTask;
        });
        Rest = RestServer.Build(options, Readiness, () => _writeMetrics, loggers);
        await StartServerAsync(Rest, "rest.address", options.RestAddress, time, cancellationToken);
        // A node among several gets to know its site from the others.
        if (directory.Identity.Standing == NodeStanding.New && !options.HasOtherNodes)
            directory.Found(await GroupHosting.NewHistoryAsync(options, _progress, loggers, time, cancellationToken));
        Groups = await openGroups(directory, options, _progress, loggers, time, cancellationToken);
        OnClose(() => Groups.DisposeAsync().AsTask());

        Guid history = directory.Identity.History;
        Catalogue catalogue = await StartTablesAsync(directory, options, loggers, time, cancellationToken);
        if (options.Role == NodeRole.Follower)
        {
            FollowerParts follower = _follower = FollowerParts.Start(options, Groups, catalogue, Reconciler, history, Served, time, loggers);
            OnClose(() => follower.DisposeAsync().AsTask());
        }

        NodeAddresses addresses = new(options);
        CallStatistics statistics = new();
        CallGuard guard = new(statistics, loggers.CreateLogger<CallGuard>());
        CancellationTokenSource streams = new();
        _endStreams = streams.CancelAsync;
        OnClose(() =>
        {
            streams.Dispose();
            return Task.CompletedTask;
        });
        CallDeadlines deadlines = new(options.ApiDefaultDeadline, time);
        Probing probing = new(options, _follower, Served, history, Groups.Site, time, loggers);
        OnClose(() => probing.DisposeAsync().AsTask());
        GrpcServices services = Services(options, catalogue, history, probing, addresses, new NodeInfo(directory, time), deadlines, time, streams.Token);
        NodeMetrics metrics = new(Served, Readiness, Iterations, () => FreeSpace.BytesAvailable(directory.Root));
        FollowingMetrics following = new(Following);
        EngineMetrics engine = new();
        OnClose(() =>
        {
            metrics.Dispose();
            following.Dispose();
            engine.Dispose();
            return Task.CompletedTask;
        });
        _writeMetrics = text =>
        {
            metrics.Write(text);
            following.Write(text);
            engine.Write(text);
            CallMetricsText.Write(statistics, text);
        };

        if (options.ServesFollowers)
        {
            ReplicationServices replication = ForFollowers(options, services, catalogue, history, probing, deadlines, time, streams.Token);
            Replication = ApiServer.Build("replication.address", options.ReplicationAddress, options, replication.Add, guard, loggers);
            await StartServerAsync(Replication, "replication.address", options.ReplicationAddress, time, cancellationToken);
        }
        Api = ApiServer.Build("api.address", options.ApiAddress, options, services.AddApi, guard, loggers);
        await StartServerAsync(Api, "api.address", options.ApiAddress, time, cancellationToken);
        addresses.Bound(Api.Address);
        Readiness.MarkStarted(Groups);
    }

    // A site's members never change: alone, a node would acknowledge what the others never hear of; among empty ones, nobody could confirm what it holds.
    private static NodeDirectory OpenDirectory(NodeOptions options)
    {
        NodeDirectory directory = NodeDirectory.OpenInSite(options.DataDirectory, options.Role, options.RaftNodeId);
        NodeIdentity identity = directory.Identity;
        bool isAlone = identity is { Standing: NodeStanding.Member, Founders.IsEmpty: true };
        if (isAlone != options.HasOtherNodes || identity.Standing == NodeStanding.New)
            return directory;
        directory.Dispose();
        throw new NodeStartException(isAlone
            ? $"{options.DataDirectory} belongs to a site of one node, and raft.initial-members names several: start it as one node, or give all of them empty data directories"
            : $"{options.DataDirectory} belongs to a node of a site of several nodes: give all of them in raft.initial-members");
    }

    private async Task<Catalogue> StartTablesAsync(
        NodeDirectory directory, NodeOptions options, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken)
    {
        Guid history = directory.Identity.History;
        ITableGroup group = await Groups.StartAsync(
            new GroupSpec(CatalogueKeys.CatalogueGroup, "catalogue", new Incarnation(history, CatalogueKeys.CatalogueLife)), cancellationToken);
        Catalogue catalogue = new(group, time);
        Reconciler = new TableReconciler(
            Groups, catalogue, history, (ulong)options.RaftNodeId, Served, loggers.CreateLogger<TableReconciler>());
        // Only behind a barrier is the catalogue whole: what was committed before a crash has been applied.
        _progress.Say(WaitsForMajority);
        await BarrierAsync(group, cancellationToken);
        _progress.Say("opening the tables");
        // First of all: a new table must not get a number under which there is old data.
        await Reconciler.PassAsync(cancellationToken);
        _progress.Say(WaitsForMajority);
        await CreateNamedAsync(catalogue, options.TablesNames, cancellationToken);
        _progress.Say("opening the tables");
        CatalogueRevision = await Reconciler.PassAsync(cancellationToken);
        // Every table of the site is here: nothing that a lost disk had promised is missing.
        if (Served.Snapshot.Faults.Count == 0)
            directory.Admit();
        return catalogue;
    }

    private string WaitsForMajority()
    {
        int others = Groups.Site.Nodes.Length - 1;
        // With this node they make a majority.
        int missing = ((others + 1) / 2) - (others - Groups.Site.Unreachable.Length);
        return missing > 0 ? $"waiting for {missing} of {others} other nodes, without which there is no majority" : "waiting for a leader of the catalogue";
    }

    private static async Task CreateNamedAsync(Catalogue catalogue, ImmutableArray<string> names, CancellationToken cancellationToken)
    {
        foreach (string name in names)
        {
            // Asked again, it creates nothing twice: the name is taken then.
            while (catalogue.Find(name) == 0)
            {
                ProposalOutcome outcome = await catalogue.CreateAsync(name, cancellationToken);
                cancellationToken.ThrowIfCancellationRequested();
                if (outcome.Failure is not (GroupFailure.None or GroupFailure.NoLeader or GroupFailure.Unknown))
                    throw new NodeStartException($"tables.names: table '{name}' could not be created: {outcome.Reason}");
                await BarrierAsync(catalogue.Group, cancellationToken);
            }
        }
    }

    private static async Task BarrierAsync(ITableGroup group, CancellationToken cancellationToken)
    {
        while (true)
        {
            BarrierOutcome outcome = await group.ReadBarrierAsync(cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            if (outcome.Succeeded)
                return;
            // With other nodes it may take until enough of them are there.
            if (outcome.Failure != GroupFailure.NoLeader || group.Fault is not null)
                throw new NodeStartException($"group {group.GroupId} does not get ready: {outcome.Reason}");
        }
    }

    private GrpcServices Services(
        NodeOptions options, Catalogue catalogue, Guid history, Probing probing, NodeAddresses addresses, NodeInfo info, CallDeadlines deadlines, TimeProvider time, CancellationToken stopping)
    {
        Limits limits = new((int)options.MaxKeyBytes, (int)options.MaxValueBytes, (int)options.MaxRequestBytes, (int)options.MaxTxnOperations);
        int pageBytes = (int)options.PageBytes;
        ReplyBudget budget = new(options.MaxReplyBytesInFlight);
        Iterations = new ViewSlots((int)options.MaxIterations, "IterateRange");
        Snapshots = new ViewSlots((int)options.ReplicationMaxSnapshots, "Snapshot.Stream");
        StalenessTrailers trailers = new(options.ClusterName, time);
        Freshness freshness = new(probing.Leader, probing.IsKnown, trailers, time);
        Watches watches = new(Served, limits, (int)options.MaxWatches, time, stopping);
        OnClose(() => watches.DisposeAsync().AsTask());
        KvReads reads = new(
            new PointReads(Served, limits, freshness, deadlines),
            new RangeReads(Served, limits, pageBytes, budget, freshness, deadlines),
            new Iterations(Served, limits, pageBytes, Iterations, options.ApiStallTimeout, freshness, deadlines, time),
            watches,
            new Transactions(Served, limits, pageBytes, budget, freshness, deadlines));
        Following = new SiteFollowing(_follower, options, catalogue, Served, Groups.Site, time);
        SiteNodes site = new(Groups.Site, options, addresses, Served, new TableHashing(options.RaftNodeId), Following, probing.KnownAsync, time);
        Groups.Site.AnswerBy(site.AnswerAsync);
        BearerToken token = new(options.TablesToken);
        KV.KVBase kv = _follower is { } parts
            ? FollowerKv(parts, reads, freshness, trailers, deadlines, time)
            : new KvService(reads, new Writes(Served, limits, pageBytes, deadlines));
        return new GrpcServices(
            new SessionKvService(kv, new SessionCalls(Served, Reconciler, history, _follower is { IsUnderGo: true }, deadlines)),
            new ClusterService(options, site, Following, Served, info),
            new SiteService(site, new TableComparison(site, time), Following, Served, token, deadlines),
            !options.TablesEnabled ? null
                : _follower is null ? new TablesService(catalogue, Reconciler, Served, token, deadlines)
                : new FollowerTablesService(new TableList(catalogue, Served, token, deadlines)),
            new HealthService(Readiness, time));
    }

    private FollowerKvService FollowerKv(
        FollowerParts follower, KvReads reads, Freshness freshness, StalenessTrailers trailers, CallDeadlines deadlines, TimeProvider time)
    {
        LeaderKv leader = new(follower.Leader, follower.IsUnderGo);
        return new FollowerKvService(
            reads,
            new Forwarding(Served, freshness, time),
            new GlobalReads(Served, leader, trailers, deadlines, time),
            new ForwardedWrites(Served, Reconciler, leader, follower.IsUnderGo, deadlines));
    }

    private ReplicationServices ForFollowers(
        NodeOptions options, GrpcServices services, Catalogue catalogue, Guid history, Probing probing, CallDeadlines deadlines, TimeProvider time, CancellationToken stopping)
    {
        // The catalogue is followed like a table, under a name that no table can have.
        ByteString system = ByteString.CopyFromUtf8(LeaderTables.Catalogue);
        ServedTable followed = new(LeaderTables.Catalogue, new Incarnation(history, CatalogueKeys.CatalogueLife), catalogue.Group, (ulong)options.RaftNodeId);
        ServedTable Find(ByteString name) => name == system && Served.Closed is null ? followed : Served.Get(name);
        return new ReplicationServices(
            services.Kv,
            new LogService(Find, (int)options.ReplicationMessageBytes, deadlines, time, stopping),
            new SnapshotService(Find, Groups, Snapshots, options.ApiStallTimeout, deadlines, stopping),
            new MetadataService(catalogue, history, Served, probing.Census!, probing.Messages, deadlines, time));
    }

    private async Task StartServerAsync(WebServer server, string option, ListenAddress address, TimeProvider time, CancellationToken cancellationToken)
    {
        OnClose(async () =>
        {
            using CancellationTokenSource limit = new(CloseTime, time);
            await server.StopAsync(limit.Token);
            await server.DisposeAsync();
        });
        await server.StartAsync(cancellationToken);
        LoopbackCheck.Warn(option, address, _logger);
    }

    private void OnClose(Func<Task> close) => _close.Push(close);

    private async Task CloseAsync()
    {
        while (_close.TryPop(out Func<Task>? close))
            await QuietlyAsync(close);
    }

    // A part that cannot be closed must not keep the others open; what it held goes with the process.
    private async Task QuietlyAsync(Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (Exception e)
        {
            LogCloseFailed(e);
        }
    }

    [LoggerMessage(LogLevel.Warning, "Something could not be closed in order while the node stopped.")]
    private partial void LogCloseFailed(Exception e);
}
