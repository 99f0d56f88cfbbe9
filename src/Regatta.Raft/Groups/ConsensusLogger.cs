using Microsoft.Extensions.Logging;

namespace Regatta.Raft;

/// <summary>
/// DotNext's log of a group. It warns of what is daily life in a site: every step back of a member, and every call to one that is away, once per round. The
/// connection's own log says that better, and once. Errors stay what they are.
/// </summary>
internal sealed class ConsensusLogger(ILogger inner) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => inner.BeginScope(state);

    public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(Quieter(logLevel));

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        LogLevel level = Quieter(logLevel);
        if (inner.IsEnabled(level))
            inner.Log(level, eventId, state, exception, formatter);
    }

    private static LogLevel Quieter(LogLevel level) => level == LogLevel.Warning ? LogLevel.Debug : level;
}
