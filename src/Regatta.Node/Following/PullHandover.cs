using Google.Protobuf;
using Microsoft.Extensions.Logging;
using Regatta.Protocol.Peer;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// The node that leads a table's group pulls for it. If that one does not reach the leader site for a while and another node of its site does, the group is handed over, and the pulling with it.
/// </summary>
/// <param name="targets">What this site follows.</param>
/// <param name="status">Of this node's puller of a group; null: it has none.</param>
internal sealed partial class PullHandover(
    ISiteLink link, long self, Func<IEnumerable<PullTarget>> targets, Func<long, PullStatus?> status, TimeProvider time, ILogger<PullHandover> logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    // Longer than it takes to find that one of the leader site's nodes is gone and to go on with another one.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan AskTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan MoveTimeout = TimeSpan.FromSeconds(5);

    private Dictionary<long, long> _unreachableSince = [];

    /// <summary>Runs until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (link.Nodes.Length == 1)
            return;
        using PeriodicTimer timer = new(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
                await LookAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The node stops.
        }
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        List<PullTarget> due = Due();
        if (due.Count == 0)
            return;
        // One table stands for all: it is the way that is looked for.
        long[] reaching = await WhoReachesAsync(due[0].Name, cancellationToken);
        for (int i = 0; i < due.Count && reaching.Length > 0; i++)
        {
            // Asking took its time. A puller that is heard again must stay: what it was told to adopt would be forgotten.
            if (IsCutOff(due[i]))
                await MoveAsync(due[i], reaching[i % reaching.Length], cancellationToken);
        }
    }

    private bool IsCutOff(PullTarget target) => status(target.Group.GroupId)?.State == PullState.LeaderUnreachable;

    /// <summary>Those that have been waiting for long enough; whatever comes of it, they then wait as long again.</summary>
    private List<PullTarget> Due()
    {
        List<PullTarget> due = [];
        Dictionary<long, long> waiting = [];
        foreach (PullTarget target in targets())
        {
            long group = target.Group.GroupId;
            if (!IsCutOff(target))
                continue;
            long since = _unreachableSince.GetValueOrDefault(group, time.GetTimestamp());
            if (time.GetElapsedTime(since) >= Patience)
                due.Add(target);
            else
                waiting.Add(group, since);
        }

        _unreachableSince = waiting;
        return due;
    }

    private async Task<long[]> WhoReachesAsync(string table, CancellationToken cancellationToken)
    {
        byte[] question = new NodeQuestion { Reach = new ReachQuestion { Table = ByteString.CopyFromUtf8(table) } }.ToByteArray();
        long[] others = [.. link.Nodes.Where(node => node != self)];
        bool[] reach = await Task.WhenAll(others.Select(node => ReachesAsync(node, question, cancellationToken)));
        return [.. others.Where((_, at) => reach[at])];
    }

    private async Task<bool> ReachesAsync(long node, byte[] question, CancellationToken cancellationToken)
    {
        using TimeLimit limit = new(AskTimeout, time, cancellationToken);
        try
        {
            return NodeAnswer.Parser.ParseFrom((await link.AskAsync(node, question, limit.Token)).Span).Reach?.Reaches == true;
        }
        catch (Exception e) when (e is IOException or InvalidProtocolBufferException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return false;
        }
    }

    private async Task MoveAsync(PullTarget target, long node, CancellationToken cancellationToken)
    {
        using TimeLimit limit = new(MoveTimeout, time, cancellationToken);
        try
        {
            string? obstacle = await target.Group.MoveLeaderAsync(node, limit.Token);
            if (obstacle is null)
                LogMoved(target.Name, target.Group.GroupId, node);
            else
                LogNotMoved(target.Name, target.Group.GroupId, node, obstacle);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            LogNotMoved(target.Name, target.Group.GroupId, node, "it does not lead in time");
        }
        catch (ObjectDisposedException)
        {
            // The table is being deleted.
        }
    }

    [LoggerMessage(LogLevel.Warning, "Table {Table} (group {GroupId}) is led by node {Node} from now on, which reaches the leader site; this node does not.")]
    private partial void LogMoved(string table, long groupId, long node);

    [LoggerMessage(LogLevel.Warning, "Table {Table} (group {GroupId}) could not be handed over to node {Node}, which reaches the leader site: {Reason}.")]
    private partial void LogNotMoved(string table, long groupId, long node, string reason);
}
