using Microsoft.Extensions.Logging;
using Regatta.Protocol.Replication;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>How a node knows how recent its tables are: at the leader site by a census among its nodes, at a follower site by asking the leader site; both again and again. Thread-safe.</summary>
internal sealed class Probing : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly TimeProvider _time;
    private readonly FreshnessLoop? _loop;

    /// <param name="follower">Null: this is the leader site.</param>
    public Probing(NodeOptions options, FollowerParts? follower, ServedTables tables, Guid history, ISiteLink link, TimeProvider time, ILoggerFactory loggers)
    {
        Func<CancellationToken, Task>? round = null;
        _time = time;
        Messages = new ProbeMessages(tables, history, time);
        NeighbourProbe neighbours = new(link, options.RaftNodeId, Messages, time);
        if (follower is null)
        {
            Census = new CommitCensus(tables, neighbours, time, _stopping.Token);
            round = _ => Census.RefreshAsync();
        }
        else if (!follower.IsUnderGo)
        {
            Leader = new LeaderProbe(follower.Leader, neighbours, Messages, time);
            round = Leader.RoundAsync;
        }

        if (round is not null)
            _loop = new FreshnessLoop(round, options.ReplicationProbeInterval, time, loggers.CreateLogger<FreshnessLoop>());
    }

    public ProbeMessages Messages { get; }

    /// <summary>Null: this is a follower site.</summary>
    public CommitCensus? Census { get; }

    /// <summary>Null: this is the leader site, or it is one of the Go project.</summary>
    public LeaderProbe? Leader { get; }

    /// <summary>False: a leader site of the Go project does not tell.</summary>
    public bool IsKnown => _loop is not null;

    /// <summary>What this node can tell the others of its site: at the leader site of the tables that it leads, as they ask each other node, too; at a follower site of all.</summary>
    public async Task<ProbeResponse> KnownAsync()
    {
        long received = _time.GetTimestamp();
        return Census is { } census ? Messages.Of(await census.LedAsync(), received) : Messages.Known(received);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        if (_loop is not null)
            await _loop.DisposeAsync();
        _stopping.Dispose();
    }
}
