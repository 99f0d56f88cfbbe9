using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Replication;

/// <summary>A table to pull.</summary>
/// <param name="Name">As the leader site knows it.</param>
/// <param name="Incarnation">Its life.</param>
public sealed record PullTarget(string Name, Incarnation Incarnation, ITableGroup Group);

/// <summary>
/// Pulls for those tables of a follower site whose groups this node leads: one puller each, started and ended as leadership and tables come and go. No lease and no clock says who
/// pulls: two at a time do no harm. Thread-safe.
/// </summary>
/// <param name="targets">The tables as they are now.</param>
/// <param name="nodeId">This node's.</param>
/// <param name="states">As <see cref="TablePuller"/> has it.</param>
public sealed partial class SitePuller(
    Func<IEnumerable<PullTarget>> targets, long nodeId, bool comparesHistory, ILeaderSite site, PullOptions options, Random random, TimeProvider time, ILogger<SitePuller> logger,
    IStateSource? states = null)
{
    private readonly ConcurrentDictionary<long, Running> _running = new();

    /// <summary>What a table's puller on this node is doing; null: another node pulls for it, or none.</summary>
    public PullStatus? Status(long groupId) => Find(groupId)?.Status;

    /// <summary>A table's puller; null: another node pulls for it, or none.</summary>
    public TablePuller? Find(long groupId) => _running.TryGetValue(groupId, out Running? running) && !running.IsEnding ? running.Puller : null;

    /// <summary>Runs until it is cancelled; returns when every puller has ended.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using PeriodicTimer timer = new(options.LeadershipInterval, time);
        try
        {
            do
                Look();
            while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The node stops.
        }
        finally
        {
            foreach (Running running in _running.Values)
                running.End();
            await Task.WhenAll(_running.Values.Select(static running => running.Task)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            foreach (Running running in _running.Values)
                running.Dispose();
        }
    }

    private void Look()
    {
        HashSet<long> led = [];
        foreach (PullTarget target in targets())
        {
            if (target.Group.LeaderNodeId != nodeId)
                continue;
            led.Add(target.Group.GroupId);
            if (!_running.ContainsKey(target.Group.GroupId))
                _running[target.Group.GroupId] = Start(target);
        }

        foreach ((long groupId, Running running) in _running)
        {
            if (running.Task.IsCompleted)
            {
                // Started again by the next look, if it is still due.
                _running.TryRemove(groupId, out _);
                running.Dispose();
            }
            else if (!led.Contains(groupId))
            {
                running.End();
            }
        }
    }

    private Running Start(PullTarget target)
    {
        TablePuller puller = new(target.Group, target.Name, target.Incarnation, comparesHistory, site, options, random, time, logger, states);
        CancellationTokenSource ending = new();
        LogStarts(target.Name, target.Group.GroupId, target.Group.Reader.Revision);
        // Up to its first wait it runs here: nothing but a call of the group's. So a simulation has it on its own thread.
        return new Running(puller, ending, RunAsync(puller, target, ending.Token));
    }

    private async Task RunAsync(TablePuller puller, PullTarget target, CancellationToken cancellationToken)
    {
        try
        {
            await puller.RunAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // Nothing that is expected gets here. The next look starts another one.
            LogFailed(e, target.Name, target.Group.GroupId);
        }
    }

    [LoggerMessage(LogLevel.Information, "This node pulls for table {Table} (group {GroupId}) from the leader site, from revision {Revision} on.")]
    private partial void LogStarts(string table, long groupId, long revision);

    [LoggerMessage(LogLevel.Error, "Pulling for table {Table} (group {GroupId}) ended with an error and begins anew.")]
    private partial void LogFailed(Exception e, string table, long groupId);

    private sealed class Running(TablePuller puller, CancellationTokenSource ending, Task task) : IDisposable
    {
        public TablePuller Puller => puller;

        public Task Task => task;

        public bool IsEnding => ending.IsCancellationRequested;

        public void End() => ending.Cancel();

        public void Dispose() => ending.Dispose();
    }
}
