using Microsoft.Extensions.Logging;

namespace Regatta.Cli;

/// <summary>The log of one of several nodes in a process: its lines say whose they are.</summary>
internal sealed class NodeLoggers(ILoggerFactory loggers, string node) : ILoggerFactory
{
    // Behind the category, by whose beginning levels are chosen.
    public ILogger CreateLogger(string categoryName) => loggers.CreateLogger($"{categoryName}/{node}");

    public void AddProvider(ILoggerProvider provider) => loggers.AddProvider(provider);

    public void Dispose()
    {
        // The process's log belongs to whoever made it.
    }
}
