using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Regatta.Node;

/// <summary>
/// The web server's view of the node's log: warnings and worse. Its messages for single requests stay out altogether: a client's mistake is no
/// event of the node's, and being asked whether to log costs each call a scope and an activity. So does what it says of a failed start: whoever
/// starts the node gets that as an exception.
/// </summary>
internal sealed class QuietLoggers(ILoggerFactory loggers) : ILoggerFactory
{
    private static readonly string[] Silent =
        ["Microsoft.AspNetCore.Hosting.Diagnostics", "Microsoft.AspNetCore.Routing", "Microsoft.Extensions.Hosting", "Grpc.AspNetCore.Server"];

    public ILogger CreateLogger(string categoryName) =>
        Silent.Any(prefix => categoryName.StartsWith(prefix, StringComparison.Ordinal))
            ? NullLogger.Instance
            : new Threshold(loggers.CreateLogger(categoryName));

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("the node's own logger factory has the providers");

    public void Dispose()
    {
        // The inner factory belongs to whoever started the node.
    }

    private sealed class Threshold(ILogger inner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning && inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                inner.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
