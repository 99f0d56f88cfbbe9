using Microsoft.Extensions.Logging;

namespace Regatta.Node;

/// <summary>
/// One node: its data directory, its groups, its ports. Several may run in one process, each with its own directory and ports: nothing is
/// shared and nothing static is changed. All members may be called from any thread.
/// </summary>
public sealed partial class RegattaNode : IAsyncDisposable
{
    private readonly NodeParts _parts;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _background = new();
    private readonly TaskCompletionSource<NodeExit> _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private Task? _stop;
    private Task _reconciling = Task.CompletedTask;
    private Task _watching = Task.CompletedTask;

    private RegattaNode(NodeParts parts, ILogger logger, TimeProvider time)
    {
        _parts = parts;
        _logger = logger;
        _time = time;
    }

    /// <summary>Where clients connect, with the port that the system chose.</summary>
    public ListenAddress ApiAddress => _parts.Api.Address;

    /// <summary>Where follower sites pull from, with the port that the system chose; null if that is not enabled.</summary>
    public ListenAddress? ReplicationAddress => _parts.Replication?.Address;

    /// <summary>Where /healthz, /readyz and /metrics are.</summary>
    public ListenAddress RestAddress => _parts.Rest.Address;

    /// <summary>What keeps the node from accepting writes to every table; empty if nothing does.</summary>
    public IReadOnlyList<string> NotReadyReasons => _parts.Readiness.Reasons();

    /// <summary>Completes when everything is closed: after <see cref="StopAsync"/>, or after a failure that must stop the node.</summary>
    public Task<NodeExit> Stopped => _stopped.Task;

    internal ServedTables Served => _parts.Served;

    internal ViewSlots Iterations => _parts.Iterations;

    internal ViewSlots Snapshots => _parts.Snapshots;

    internal SiteFollowing Following => _parts.Following;

    /// <summary>Starts a node; when this completes, it accepts writes to every table that is in order.</summary>
    /// <param name="options">What differs from the defaults; checked here.</param>
    /// <param name="loggers">Stays the caller's.</param>
    /// <exception cref="NodeStartException">It cannot start so; the message says what to change.</exception>
    public static Task<RegattaNode> StartAsync(NodeOptions options, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken) =>
        StartAsync(options, GroupHosting.OpenAsync, loggers, time, cancellationToken);

    /// <summary>
    /// Stops taking calls, lets those that run finish, closes all files: within 10 seconds, or less if <paramref name="cutShort"/> says
    /// so. What was acknowledged is on disk whatever happens here. Idempotent.
    /// </summary>
    public Task StopAsync(CancellationToken cutShort = default) => StopOnceAsync(NodeExit.OnRequest, cutShort);

    public async ValueTask DisposeAsync() => await StopAsync();

    internal static async Task<RegattaNode> StartAsync(
        NodeOptions options, OpenGroups openGroups, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken)
    {
#if DEBUG
        if (DebugBugs.Problem is { } unknown)
            throw new NodeStartException(unknown);
#endif
        string[] problems = [.. OptionRules.Problems(options)];
        if (problems.Length > 0)
            throw new NodeStartException(string.Join("; ", problems));
        NodeParts parts = await NodeParts.StartAsync(options, openGroups, loggers, time, cancellationToken);
        RegattaNode node = new(parts, loggers.CreateLogger<RegattaNode>(), time);
        node.Watch();
#if DEBUG
        if (DebugBugs.Current != DebugBug.None)
            node.LogPlanted(DebugBugs.NameOf(DebugBugs.Current));
#endif
        node.LogStarted(options.RaftNodeId, parts.Api.Address, parts.Rest.Address, parts.Served.Snapshot.Tables.Count);
        return node;
    }

    private void Watch()
    {
        _reconciling = _parts.Reconciler.RunAsync(_parts.CatalogueRevision, _background.Token);
        _watching = WatchAsync();
    }

    // Whatever ends first ends the node: a failed disk, or a catalogue that can no longer be followed.
    private async Task WatchAsync()
    {
        Task ended = await Task.WhenAny(_parts.Groups.Failure, _reconciling);
        if (_background.IsCancellationRequested)
            return;
        // A failed disk ends the catalogue's group, too: then the disk is the cause.
        string cause = ended == _reconciling && !_parts.Groups.Failure.IsCompleted
            ? $"the catalogue cannot be followed: {_reconciling.Exception?.GetBaseException().Message ?? "its group has stopped"}"
            : await _parts.Groups.Failure;
        _parts.Served.Close("the node has failed and is stopping: " + cause);
        LogFailed(cause);
        // Not awaited here: stopping awaits this very task.
        _ = StopOnceAsync(new NodeExit(1, cause), CancellationToken.None);
    }

    private Task StopOnceAsync(NodeExit exit, CancellationToken cutShort)
    {
        lock (_gate)
            return _stop ??= Task.Run(() => StopCoreAsync(exit, cutShort), CancellationToken.None);
    }

    private async Task StopCoreAsync(NodeExit exit, CancellationToken cutShort)
    {
        _parts.Served.Close(Rejection.Stopping.Sentence);
        LogStopping(exit.Reason);
        try
        {
            await _background.CancelAsync();
            await _parts.StopAsync(_time, cutShort);
            await _reconciling.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await _watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _background.Dispose();
        }
        finally
        {
            LogStopped(exit.Code);
            _stopped.TrySetResult(exit);
        }
    }

    [LoggerMessage(LogLevel.Information, "Node {NodeId} serves {Tables} tables: clients at {Api}, health and metrics at {Rest}.")]
    private partial void LogStarted(long nodeId, ListenAddress api, ListenAddress rest, int tables);

#if DEBUG
    [LoggerMessage(LogLevel.Warning, "The node does something wrong on purpose, for a test: the planted bug {Bug} is switched on.")]
    private partial void LogPlanted(string bug);

#endif
    [LoggerMessage(LogLevel.Critical, "The node stops and acknowledges nothing any more: {Cause} Repair the cause, then start it again; what was acknowledged is on disk.")]
    private partial void LogFailed(string cause);

    [LoggerMessage(LogLevel.Information, "The node stops: {Reason}.")]
    private partial void LogStopping(string reason);

    [LoggerMessage(LogLevel.Information, "The node has stopped with code {Code}.")]
    private partial void LogStopped(int code);
}
