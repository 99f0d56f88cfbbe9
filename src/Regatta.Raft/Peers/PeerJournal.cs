using Microsoft.Extensions.Logging;

namespace Regatta.Raft;

/// <summary>
/// What an operator reads about connections. A node that cannot be reached is tried for ever: its log has the reason once, and again when it changes.
/// Thread-safe.
/// </summary>
internal sealed partial class PeerJournal(ILogger logger)
{
    /// <summary>Stands for all who are no members: there may be any number of them.</summary>
    private const long Strangers = long.MinValue;

    private readonly Lock _gate = new();
    private readonly Dictionary<(long NodeId, bool IsDialled), string> _reasons = [];

    public void Up(long nodeId, string address)
    {
        lock (_gate)
        {
            _reasons.Remove((nodeId, true));
            _reasons.Remove((nodeId, false));
        }

        LogUp(nodeId, address);
    }

    public void Down(long nodeId, string reason) => LogDown(nodeId, reason);

    /// <param name="nodeId">A member, or null for anybody else.</param>
    /// <param name="isDialled">By this node. It may be dialled in vain by this one while something else pretends to be it: two reasons, each told once.</param>
    /// <param name="reason">A predicate to the node: "is refused: ...".</param>
    public void NoConnection(long? nodeId, bool isDialled, string address, string reason)
    {
        lock (_gate)
        {
            (long, bool) who = (nodeId ?? Strangers, isDialled);
            if (_reasons.TryGetValue(who, out string? last) && last == reason)
                return;
            _reasons[who] = reason;
        }

        if (nodeId is { } member)
            LogNoConnection(member, address, reason);
        else
            LogStranger(address, reason);
    }

    /// <returns>Why there is no connection to a member, as a predicate to it; null: nothing was heard of it.</returns>
    public string? Reason(long nodeId)
    {
        lock (_gate)
            return _reasons.GetValueOrDefault((nodeId, true)) ?? _reasons.GetValueOrDefault((nodeId, false));
    }

    public void HandlerFailed(long nodeId, long group, PeerMethod method, Exception cause) => LogHandlerFailed(nodeId, method, group, cause);

    [LoggerMessage(Level = LogLevel.Information, Message = "Node {NodeId} is connected ({Address})")]
    private partial void LogUp(long nodeId, string address);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The connection to node {NodeId} is down: {Reason}")]
    private partial void LogDown(long nodeId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "There is no connection to node {NodeId} ({Address}): it {Reason}")]
    private partial void LogNoConnection(long nodeId, string address, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Who connected from {Address} is no node that this one knows: it {Reason}")]
    private partial void LogStranger(string address, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "A call {Method} of group {Group} from node {NodeId} failed, which node {NodeId} is told")]
    private partial void LogHandlerFailed(long nodeId, PeerMethod method, long group, Exception cause);
}
