using Microsoft.Extensions.Logging;
using Regatta.Node;
using Regatta.Storage;

namespace Regatta.Cli;

/// <summary>Runs nodes in the foreground: start, say where they are, wait for the wish to stop or for a failure of one of them, stop.</summary>
internal static class NodeRun
{
    /// <summary>The line that scripts wait for.</summary>
    public const string Ready = "ready";

    private static readonly TimeSpan ReadyInterval = TimeSpan.FromMilliseconds(200);

    // Tables of several nodes have no leader for a moment: that is nothing to report.
    private const int UsualIntervals = 15;

    /// <param name="options">One or more nodes; the log level is that of the first.</param>
    /// <param name="surroundings">Where to say what.</param>
    /// <param name="hints">Further lines for whoever starts them.</param>
    /// <param name="stop">The wish to stop.</param>
    /// <returns>0 after a stop on request, 1 if a node could not start or stopped because of a fault.</returns>
    public static async Task<int> RunAsync(
        IReadOnlyList<NodeOptions> options, Surroundings surroundings, Func<StartedNodes, IEnumerable<string>> hints, CancellationToken stop)
    {
        using ILoggerFactory loggers = ConsoleLog.Open(options[0].LogLevel, surroundings);
        try
        {
            // A node has to notice that its machine has slept.
            TimeProvider clock = surroundings.Clock == TimeProvider.System ? BootClock.Instance : surroundings.Clock;
            await using StartedNodes nodes = await StartedNodes.StartAsync(options, loggers, clock, stop);
            await AnnounceAsync(nodes, surroundings, hints(nodes));
            using CancellationTokenSource running = CancellationTokenSource.CreateLinkedTokenSource(stop);
            Task ready = SayWhenReadyAsync(nodes, surroundings, running.Token);
            await nodes.AnyStopped.WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await running.CancelAsync();
            await ready;
            return Report(options, await nodes.StopAsync(), surroundings.Error);
        }
        catch (NodeStartException e)
        {
            throw new CommandException(ExitCode.Failed, e.Message);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Asked to stop while it was starting: that is a stop on request.
            return ExitCode.Ok;
        }
    }

    /// <summary>Says why nodes stopped that were not asked to.</summary>
    /// <returns>The exit code of the process.</returns>
    internal static int Report(IReadOnlyList<NodeOptions> options, IReadOnlyList<NodeExit> exits, TextWriter error)
    {
        int code = ExitCode.Ok;
        foreach ((NodeOptions one, NodeExit exit) in options.Zip(exits).Where(pair => pair.Second.Code != ExitCode.Ok))
        {
            code = exit.Code;
            ErrorReport.Write(
                error, $"{StartedNodes.Name(one, options.Count)} stopped: {exit.Reason}", "what was acknowledged is on disk; repair the cause and start it again");
        }
        return code;
    }

    private static async Task AnnounceAsync(StartedNodes nodes, Surroundings surroundings, IEnumerable<string> hints)
    {
        OutputSink output = new(surroundings.Output);
        foreach (StartedNode started in nodes.All)
        {
            if (nodes.All.Length > 1)
                output.WriteLine($"node:    {(started.Options.NodeName is { Length: > 0 } name ? name : started.Options.RaftNodeId)}");
            output.WriteLine($"clients: {started.Node.ApiAddress.EndPoint}");
            if (started.Node.ReplicationAddress is { } replication)
                output.WriteLine($"sites:   {replication.EndPoint}");
            output.WriteLine($"health:  {started.Node.RestAddress}/readyz");
            output.WriteLine($"metrics: {started.Node.RestAddress}/metrics");
            output.WriteLine($"data:    {started.Options.DataDirectory}");
        }
        foreach (string hint in hints)
            output.WriteLine(hint);
        await output.FlushAsync(CancellationToken.None);
    }

    /// <summary>
    /// Says `ready` when every table accepts writes on every node; until then, once, why not. A table whose files are damaged keeps it waiting; the
    /// others serve.
    /// </summary>
    private static async Task SayWhenReadyAsync(StartedNodes nodes, Surroundings surroundings, CancellationToken stop)
    {
        try
        {
            using PeriodicTimer timer = new(ReadyInterval, surroundings.Clock);
            for (int interval = 0; nodes.NotReadyReasons is { Count: > 0 } reasons; interval++)
            {
                if (interval == UsualIntervals)
                    ErrorReport.Write(surroundings.Error, "not ready: " + string.Join("; ", reasons), "the other tables serve; /readyz says when all do");
                await timer.WaitForNextTickAsync(stop);
            }
            OutputSink output = new(surroundings.Output);
            output.WriteLine(Ready);
            await output.FlushAsync(CancellationToken.None);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The nodes stop before they were ready.
        }
    }
}
