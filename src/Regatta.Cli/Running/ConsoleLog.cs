using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Regatta.Cli;

/// <summary>The log of a process that runs nodes, one line each, on standard error.</summary>
internal static class ConsoleLog
{
    // Standard output is for what scripts read. A reader of the log that hangs must not hang the node.
    private static readonly Action<ConsoleLoggerOptions> Options = console =>
    {
        console.LogToStandardErrorThreshold = LogLevel.Trace;
        console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite;
    };

    public static ILoggerFactory Open(LogLevel level, Surroundings surroundings) => LoggerFactory.Create(builder => builder
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
}
