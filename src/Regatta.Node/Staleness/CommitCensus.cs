using System.Diagnostics;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// At the leader site: how far its tables are committed, and when that was certain. For the tables whose groups this node leads that follows from the heartbeats that there are anyway; for the others the nodes are
/// asked that lead them. Rounds that are asked for at about the same time are one. Thread-safe.
/// </summary>
/// <param name="stopping">The node stops: a round that runs then ends at once.</param>
internal sealed class CommitCensus(ServedTables tables, NeighbourProbe neighbours, TimeProvider time, CancellationToken stopping)
{
    /// <summary>Younger than that, a round serves another asker, too.</summary>
    private static readonly TimeSpan Shared = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan AskTimeout = TimeSpan.FromMilliseconds(200);

    private readonly Lock _gate = new();
    private Task _round = Task.CompletedTask;
    private long? _began;
    private Task<IReadOnlyList<(ServedTable Table, Sighting Sighting)>>? _led;
    private long _ledFrom;

    /// <summary>Brings what is known of all tables up to date, as far as their leaders answer.</summary>
    public Task RefreshAsync()
    {
        lock (_gate)
        {
            if (_began is { } began && time.GetElapsedTime(began) < Shared)
                return _round;
            _began = time.GetTimestamp();
            return _round = Task.WhenAll(LedAsync(), neighbours.RoundAsync(AskTimeout, stopping));
        }
    }

    /// <summary>Brings what is known of the tables up to date whose groups this node leads, and tells it.</summary>
    public Task<IReadOnlyList<(ServedTable Table, Sighting Sighting)>> LedAsync()
    {
        lock (_gate)
        {
            if (_led is not null && time.GetElapsedTime(_ledFrom) < Shared)
                return _led;
            _ledFrom = time.GetTimestamp();
            // Elsewhere: with many tables it takes a while, and others want the lock.
            return _led = Task.Run(LookAsync);
        }
    }

    private async Task<IReadOnlyList<(ServedTable Table, Sighting Sighting)>> LookAsync()
    {
        List<(ServedTable, Sighting)> led = [];
        using TimeLimit limit = new(AskTimeout, time, stopping);
        foreach (ServedTable table in tables.Snapshot.Tables)
        {
            try
            {
                if (await table.Group.LedAtAsync(limit.Token) is { } moment && Sighting.Of(table.Group.Reader, moment) is { } own)
                {
                    table.Fresh.Confirm(own);
                    led.Add((table, own));
                }
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or UnreachableException)
            {
                // Not applied in time, being deleted or being made anew: it is as old as it was.
            }
        }

        return led;
    }
}
