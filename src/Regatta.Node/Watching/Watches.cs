using System.Collections.Concurrent;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>KV.Watch on this node: the tables' watches, and how many there may be. Thread-safe.</summary>
internal sealed class Watches(ServedTables tables, Limits limits, int most, TimeProvider time, CancellationToken stopping) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<long, TableWatches> _tables = new();
    private int _taken;

    /// <summary>How many there are.</summary>
    public int Taken => Volatile.Read(ref _taken);

    public async Task RunAsync(IAsyncStreamReader<WatchRequest> requests, IServerStreamWriter<WatchResponse> replies, ServerCallContext context)
    {
        if (tables.Closed is { } closed)
            throw closed.ToException();
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping);
        using WatchStream stream = new(this, tables, limits, replies, time);
        try
        {
            await stream.RunAsync(requests, ending.Token);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            throw Rejection.Stopping.ToException();
        }
    }

    public TableWatches Of(ServedTable table)
    {
        Sweep();
        return _tables.GetOrAdd(table.Group.GroupId, static (_, group) => new TableWatches(group), table.Group);
    }

    public Rejection? Take()
    {
        if (Interlocked.Increment(ref _taken) <= most)
            return null;
        Leave();
        return new Rejection(StatusCode.ResourceExhausted, $"{most} watches are open on this node, which is its limit; end others, or watch at another node");
    }

    public void Leave() => Interlocked.Decrement(ref _taken);

    public async ValueTask DisposeAsync()
    {
        foreach (TableWatches watches in _tables.Values)
            await watches.DisposeAsync();
    }

    /// <summary>Tables that are gone have ended their watches by themselves; nothing of them is left running.</summary>
    private void Sweep()
    {
        if (_tables.Count <= tables.Snapshot.Tables.Count)
            return;
        foreach (long gone in _tables.Keys.Where(group => !tables.Snapshot.Tables.Any(table => table.Group.GroupId == group)).ToArray())
            _tables.TryRemove(gone, out _);
    }
}
