using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Regatta.Node;

namespace Regatta.Cli;

/// <summary>Runs a node in the foreground: start, say where it is, wait for the wish to stop or for a failure, stop.</summary>
internal static class NodeRun
{
    /// <summary>The line that scripts wait for.</summary>
    public const string Ready = "ready";

    private static readonly TimeSpan ReadyInterval = TimeSpan.FromMilliseconds(200);

    /// <param name="options">One node.</param>
    /// <param name="surroundings">Where to say what.</param>
    /// <param name="hints">Further lines for whoever starts it.</param>
    /// <param name="stop">The wish to stop.</param>
    /// <returns>0 after a stop on request, 1 if the node could not start or stopped because of a fault.</returns>
    public static async Task<int> RunAsync(
        NodeOptions options, Surroundings surroundings, Func<RegattaNode, IEnumerable<string>> hints, CancellationToken stop)
    {
        using ILoggerFactory loggers = Loggers(options.LogLevel, surroundings);
        try
        {
            await using RegattaNode node = await RegattaNode.StartAsync(options, loggers, surroundings.Clock, stop);
            await AnnounceAsync(node, options, surroundings, hints(node));
            using CancellationTokenSource running = CancellationTokenSource.CreateLinkedTokenSource(stop);
            Task ready = SayWhenReadyAsync(node, surroundings, running.Token);
            await ((Task)node.Stopped).WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await running.CancelAsync();
            await ready;
            await node.StopAsync(CancellationToken.None);
            NodeExit exit = await node.Stopped;
            if (exit.Code != ExitCode.Ok)
            {
                ErrorReport.Write(
                    surroundings.Error, "the node stopped: " + exit.Reason, "what was acknowledged is on disk; repair the cause and start it again");
            }
            return exit.Code;
        }
        catch (NodeStartException e)
        {
            throw new CommandException(ExitCode.Failed, "the node cannot start: " + e.Message);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Asked to stop while it was starting: that is a stop on request.
            return ExitCode.Ok;
        }
    }

    private static async Task AnnounceAsync(RegattaNode node, NodeOptions options, Surroundings surroundings, IEnumerable<string> hints)
    {
        OutputSink output = new(surroundings.Output);
        output.WriteLine($"clients: {node.ApiAddress.EndPoint}");
        output.WriteLine($"health:  {node.RestAddress}/readyz");
        output.WriteLine($"metrics: {node.RestAddress}/metrics");
        output.WriteLine($"data:    {options.DataDirectory}");
        foreach (string hint in hints)
            output.WriteLine(hint);
        await output.FlushAsync(CancellationToken.None);
    }

    /// <summary>Says `ready` when every table accepts writes; until then, once, why not. A table whose files are damaged keeps it waiting; the others serve.</summary>
    private static async Task SayWhenReadyAsync(RegattaNode node, Surroundings surroundings, CancellationToken stop)
    {
        try
        {
            if (node.NotReadyReasons is { Count: > 0 } reasons)
                ErrorReport.Write(surroundings.Error, "not ready: " + string.Join("; ", reasons), "the other tables serve; /readyz says when all do");
            using PeriodicTimer timer = new(ReadyInterval, surroundings.Clock);
            while (node.NotReadyReasons.Count > 0)
                await timer.WaitForNextTickAsync(stop);
            OutputSink output = new(surroundings.Output);
            output.WriteLine(Ready);
            await output.FlushAsync(CancellationToken.None);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The node stops before it was ready.
        }
    }

    private static ILoggerFactory Loggers(LogLevel level, Surroundings surroundings) => LoggerFactory.Create(builder => builder
        .SetMinimumLevel(level)
        // What the web server reports of a failed start is in the node's own sentence.
        .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None)
        .AddSimpleConsole(format =>
        {
            format.SingleLine = true;
            format.UseUtcTimestamp = true;
            format.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            format.ColorBehavior = surroundings.ErrorIsTerminal && !surroundings.WithoutColors ? LoggerColorBehavior.Default : LoggerColorBehavior.Disabled;
        })
        .Services.Configure(Options));

    // Standard output is for what scripts read. A reader of the log that hangs must not hang the node.
    private static readonly Action<ConsoleLoggerOptions> Options = console =>
    {
        console.LogToStandardErrorThreshold = LogLevel.Trace;
        console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite;
    };
}
