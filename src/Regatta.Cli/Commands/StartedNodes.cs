using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Regatta.Node;

namespace Regatta.Cli;

/// <summary>Nodes of this process: started at once, because those of a site wait for each other, and stopped at once.</summary>
internal sealed class StartedNodes : IAsyncDisposable
{
    private StartedNodes(ImmutableArray<StartedNode> all) => All = all;

    /// <summary>In the order of their options.</summary>
    public ImmutableArray<StartedNode> All { get; }

    /// <summary>What keeps them from accepting writes to every table, with the node's name where there are several.</summary>
    public IReadOnlyList<string> NotReadyReasons =>
    [
        .. All.SelectMany(started => started.Node.NotReadyReasons.Select(
            reason => All.Length == 1 ? reason : $"{Name(started.Options, All.Length)}: {reason}")),
    ];

    /// <summary>Completes when one of them has stopped, by itself or because it was asked to.</summary>
    public Task AnyStopped => Task.WhenAny(All.Select(node => node.Node.Stopped));

    /// <summary>Completes when every node is started. If one cannot be, none is.</summary>
    /// <exception cref="NodeStartException">One of them cannot start; the message names it if there are several.</exception>
    public static async Task<StartedNodes> StartAsync(
        IReadOnlyList<NodeOptions> options, ILoggerFactory loggers, TimeProvider clock, CancellationToken stop)
    {
        using CancellationTokenSource starting = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task<RegattaNode>[] starts = [.. options.Select(one => RegattaNode.StartAsync(one, Named(loggers, one, options.Count), clock, starting.Token))];
        Task<RegattaNode>? failed = null;
        await foreach (Task<RegattaNode> start in Task.WhenEach(starts))
        {
            if (start.IsCompletedSuccessfully || failed is not null)
                continue;
            failed = start;
            // Those that wait for this one would wait for ever.
            await starting.CancelAsync();
        }
        StartedNode[] started = [.. await Task.WhenAll(options.Zip(starts).Where(pair => pair.Second.IsCompletedSuccessfully).Select(StartedAsync))];
        if (failed is null)
            return new StartedNodes([.. started]);
        await Task.WhenAll(started.Select(node => node.Node.StopAsync(CancellationToken.None)));
        throw await ReasonAsync(options[Array.IndexOf(starts, failed)], options.Count, failed);
    }

    /// <summary>A node as sentences name it.</summary>
    public static string Name(NodeOptions options, int nodes) =>
        nodes == 1 ? "the node" : options.NodeName is { Length: > 0 } name ? $"node {name}" : $"node {options.RaftNodeId}";

    /// <returns>Why each of them stopped, in the order of their options.</returns>
    public async Task<NodeExit[]> StopAsync()
    {
        await Task.WhenAll(All.Select(node => node.Node.StopAsync(CancellationToken.None)));
        return await Task.WhenAll(All.Select(node => node.Node.Stopped));
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private static async Task<StartedNode> StartedAsync((NodeOptions Options, Task<RegattaNode> Start) pair) => new(pair.Options, await pair.Start);

    private static async Task<Exception> ReasonAsync(NodeOptions options, int nodes, Task<RegattaNode> failed)
    {
        try
        {
            await failed;
            throw new InvalidOperationException("a start that has failed has no reason");
        }
        catch (NodeStartException e)
        {
            return new NodeStartException($"{Name(options, nodes)} cannot start: {e.Message}", e);
        }
    }

    private static ILoggerFactory Named(ILoggerFactory loggers, NodeOptions options, int nodes) =>
        nodes == 1 ? loggers : new NodeLoggers(loggers, options.EffectiveNodeName);
}

/// <param name="Options">What it was started with.</param>
internal sealed record StartedNode(NodeOptions Options, RegattaNode Node);
