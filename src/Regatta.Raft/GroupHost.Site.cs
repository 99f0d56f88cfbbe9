using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>How groups are opened, and made anew: from a snapshot of another node, or because their consensus has died.</summary>
public sealed partial class GroupHost : ISiteGroups
{
    private static readonly TimeSpan HandOverTime = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<long, Task> _catchingUp = new();
    private readonly SemaphoreSlim _fetches;

    TableGroup? ISiteGroups.Find(long groupId) => _slots.TryGetValue(groupId, out GroupSlot? slot) ? slot.Group?.Current : null;

    private SnapshotOrigin? Origin(long groupId)
    {
        if (groupId < 0)
            return StagedOrigin(-groupId);
        return _slots.TryGetValue(groupId, out GroupSlot? slot) && slot is { Group: { } group, State: { } state }
            ? new SnapshotOrigin(state.Checkpoint, () => state.Store.Applied, () => group.Term)
            : null;
    }

    /// <summary>All groups that this node leads, at once, and within a bounded time: a stop must not hang on nodes that are slow.</summary>
    private async Task HandOverAsync()
    {
        if (_network is null || _setting.FailStop.Cause is not null)
            return;
        using CancellationTokenSource limit = new(HandOverTime, _setting.Time);
        try
        {
            await Task.WhenAll(_slots.Values.Select(slot => slot.Group?.Current.HandOverAsync(limit.Token) ?? Task.CompletedTask)).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            LogNotHandedOver(HandOverTime.TotalSeconds);
        }
    }

    private async Task<TableGroup> OpenGroupAsync(GroupSlot slot, GroupSpec spec, CancellationToken cancellationToken)
    {
        await SnapshotInstall.CompleteAsync(_directory, _setting.Log, spec.GroupId).ConfigureAwait(false);
        bool isLost = _directory.Identity.Standing == NodeStanding.Recovering && !Directory.Exists(_directory.TablePath(spec.GroupId));
        if (isLost && _network is not null)
        {
            // It may wait for other nodes for as long as they are away, and the host must be able to close meanwhile, and to say that the disk has failed.
            using CancellationTokenSource any = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token, _setting.FailStop.Token);
            try
            {
                await _network.Recovery.RunAsync(spec, any.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (_setting.FailStop.Cause is { } cause)
            {
                throw new IOException(cause);
            }
        }

        return await OpenWholeAsync(slot, spec).ConfigureAwait(false);
    }

    private Task<TableGroup> OpenWholeAsync(GroupSlot slot, GroupSpec spec)
    {
        TableGenerations generations = _directory.Generations(spec.GroupId);
        generations.ThrowIfCurrentIsGone();
        TableStore store = TableStore.Open(_directory.TablePath(spec.GroupId), spec.Incarnation, _environment);
        StoredGroupState state = new(store, generations, _environment, _options.Changelog);
        state.Sweep();
        slot.Spec = spec;
        slot.State = state;
        return TableGroup.StartAsync(spec, _setting, state);
    }

    private void NeedSnapshot(SnapshotNeed need)
    {
        // The leader says it with every round; the first word is enough.
        if (_stopping.IsCancellationRequested || !_slots.TryGetValue(need.GroupId, out GroupSlot? slot))
            return;
        // What an installation lacks is on its way: a majority has it, and others are a moment later. If it does not come, the group asks again.
        if (need.LeaderNodeId == 0 && _staging.ContainsKey(need.GroupId))
            return;
        if (need.LeaderNodeId == 0 && _network is null)
        {
            _setting.FailStop.Trigger(
                $"Table '{slot.Spec?.Name}' (group {need.GroupId}): the state that entry {need.LeastIndex} of its log puts in the table's place is gone from {Path.Combine(_directory.GenerationsPath, $"{need.GroupId}")}, and no other node has it. " +
                "Put it back, or give the node an empty data directory, and it gets all tables from the leader site again.");
            return;
        }

        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_catchingUp.TryAdd(need.GroupId, done.Task))
            _ = CatchUpAsync(slot, need, done);
    }

    private async Task CatchUpAsync(GroupSlot slot, SnapshotNeed need, TaskCompletionSource done)
    {
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token, slot.Dropped.Token);
        try
        {
            await _fetches.WaitAsync(ending.Token).ConfigureAwait(false);
            try
            {
                FetchedSnapshot fetched = await FetchAsync(slot, need, ending.Token).ConfigureAwait(false);
                await SwapAsync(slot, async () => await SnapshotInstall.RunAsync(_directory, _setting.Log, fetched).ConfigureAwait(false)).ConfigureAwait(false);
                LogCaughtUp(need.GroupId, fetched.Applied.Index, need.LeaderNodeId);
            }
            finally
            {
                _fetches.Release();
            }
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The host is closing, or the table is deleted.
        }
        catch (Exception e)
        {
            // What was fetched is kept, and the leader goes on asking.
            StopIfUnsynced(e);
            LogNotCaughtUp(e, need.GroupId, need.LeaderNodeId);
        }
        finally
        {
            _catchingUp.TryRemove(need.GroupId, out _);
            done.SetResult();
        }
    }

    private async Task<FetchedSnapshot> FetchAsync(GroupSlot slot, SnapshotNeed need, CancellationToken cancellationToken)
    {
        await slot.Fetching.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await FetchOneAsync(slot, need, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            slot.Fetching.Release();
        }
    }

    private async Task<FetchedSnapshot> FetchOneAsync(GroupSlot slot, SnapshotNeed need, CancellationToken cancellationToken)
    {
        GroupSpec spec = slot.Spec ?? throw new InvalidOperationException($"Group {need.GroupId} was never started.");
        SnapshotFetch fetch = new(
            _directory, need.GroupId, spec.Incarnation, new SnapshotFetchOptions(), _setting.Time, _setting.Loggers.CreateLogger<SnapshotFetch>());
        if (need.LeaderNodeId == 0)
            return await FetchFromAnyAsync(fetch, need, cancellationToken).ConfigureAwait(false);
        IPeer leader = _setting.Members.Peer(need.LeaderNodeId) ?? throw new InvalidOperationException($"Group {need.GroupId} cannot fetch from itself.");
        return await fetch.RunAsync(leader, new SnapshotOpenRequest(need.LeastIndex), cancellationToken).ConfigureAwait(false);
    }

    private async Task<FetchedSnapshot> FetchFromAnyAsync(SnapshotFetch fetch, SnapshotNeed need, CancellationToken cancellationToken)
    {
        Exception? cause = null;
        foreach (IPeer peer in _setting.Members.Ids.Select(_setting.Members.Peer).OfType<IPeer>())
        {
            try
            {
                return await fetch.RunAsync(peer, new SnapshotOpenRequest(need.LeastIndex), cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                cause = e;
            }
        }

        throw new InvalidOperationException($"Group {need.GroupId}: no other node gives a state up to index {need.LeastIndex}.", cause);
    }

    /// <summary>Another try would find files that look whole, and sync them without an error.</summary>
    private void StopIfUnsynced(Exception cause)
    {
        if (cause is SyncFailedException)
            _setting.FailStop.Trigger(cause.Message);
    }

    /// <summary>DotNext leaves a group dead when its background work has failed; what is on disk is whole.</summary>
    private async Task MakeAnewAsync(GroupSlot slot)
    {
        try
        {
            await SwapAsync(slot, () => Task.CompletedTask).ConfigureAwait(false);
            LogMadeAnew(slot.Spec!.Name, slot.Spec.GroupId);
        }
        catch (Exception e)
        {
            _setting.FailStop.Trigger($"Table '{slot.Spec?.Name}' (group {slot.Spec?.GroupId}) was broken and could not be made anew: {e.Message}");
        }
    }

    /// <summary>Stops the group, does something to its files, and opens it again; nothing if it was dropped meanwhile.</summary>
    private async Task SwapAsync(GroupSlot slot, Func<Task> change)
    {
        await slot.Lock.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (slot.Group is not { } group || _setting.FailStop.Cause is not null || Volatile.Read(ref _disposed) != 0)
                return;
            await group.SwapAsync(
                async () =>
                {
                    await change().ConfigureAwait(false);
                    return await OpenWholeAsync(slot, slot.Spec!).ConfigureAwait(false);
                },
                // The group is closed and does not come back by itself: half of a node would go on as if it were whole.
                e => _setting.FailStop.Trigger($"Group {slot.Spec?.GroupId} could not be opened again: {e.Message}")).ConfigureAwait(false);
            AbortIfFailed(group);
        }
        finally
        {
            slot.Lock.Release();
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Group {Group} has the state up to index {Index} from node {Node}, which leads it")]
    private partial void LogCaughtUp(long group, long index, long node);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Group {Group} could not get the state of node {Node}, which leads it; it is tried again")]
    private partial void LogNotCaughtUp(Exception cause, long group, long node);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Not every leadership could be handed over within {Seconds} s; the other nodes elect leaders after the election time-out")]
    private partial void LogNotHandedOver(double seconds);

    [LoggerMessage(Level = LogLevel.Error, Message = "Table {Table} (group {Group}) was broken and is made anew")]
    private partial void LogMadeAnew(string table, long group);
}
