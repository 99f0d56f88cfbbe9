using Microsoft.Extensions.Logging;

namespace Regatta.Raft;

/// <summary>
/// DotNext's log of a group, with the group's number, which DotNext does not know. It warns of what is daily life in a site: every step back of a member, and every call to one that is away, once per round;
/// and tells once per round of each that needs a snapshot. The connection's own log, and that of who fetches, say it better, and once. Errors stay what they are.
/// </summary>
internal sealed class ConsensusLogger(ILogger inner, long group) : ILogger
{
    private const int InstallingSnapshot = 74018;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => inner.BeginScope(state);

    public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(Quieter(logLevel));

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        LogLevel level = eventId.Id == InstallingSnapshot ? LogLevel.Debug : Quieter(logLevel);
        if (inner.IsEnabled(level))
            inner.Log(level, eventId, state, exception, (said, cause) => $"Group {group}: {formatter(said, cause)}");
    }

    private static LogLevel Quieter(LogLevel level) => level == LogLevel.Warning ? LogLevel.Debug : level;
}
