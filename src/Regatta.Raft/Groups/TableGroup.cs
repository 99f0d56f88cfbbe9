using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// One table's group on this node: batcher, consensus, log, applier and state, and how they start, stop and fail together.
/// </summary>
internal sealed partial class TableGroup : ITableGroup
{
    private readonly GroupSpec _spec;
    private readonly GroupSetting _setting;
    private readonly IGroupState _state;
    private readonly EntryLog _entries;
    private readonly GroupLog _log;
    private readonly AppliedProgress _progress;
    private readonly ViewRequests _views;
    private readonly Applier _applier;
    private readonly Batcher _batcher;
    private readonly ReadBarrier _barrier;
    private readonly ReadBarrier _leaderBarrier;
    private readonly ConsensusGroup _consensus;
    private readonly LeaderCalls _leader;
    private readonly LeaderTransfer _transfer;
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationToken _stopToken;
    private readonly SemaphoreSlim _maintenance = new(1);
    private readonly GroupFlusher _flusher;
    private readonly StallWatch _stall;
    private readonly string _shell;
    private readonly ILogger _logger;
    private volatile string? _fault;
    private bool _disposed;

    private TableGroup(GroupSpec spec, GroupSetting setting, IGroupState state, EntryLog entries)
    {
        AppliedState applied = state.Store.Applied;
        _spec = spec;
        _setting = setting;
        _state = state;
        _entries = entries;
        _stopToken = _stopping.Token;
        _logger = setting.Loggers.CreateLogger<TableGroup>();
        _progress = new AppliedProgress(applied.Index, applied.Revision);
        _views = new ViewRequests(state.Store);
        _applier = new Applier(
            entries, state, _progress, _views, setting.FailStop, spec.Name, setting.Options.ApplyBytes, index => setting.NeedSnapshot(new SnapshotNeed(spec.GroupId, 0, index)));
        _flusher = new GroupFlusher(entries, state, setting.Options, setting.Time);
        _stall = new StallWatch(entries, setting.Options.StallTimeout, setting.Time);
        _entries.OnCommit = _applier.Schedule;
        _shell = Path.Combine(setting.ScratchPath, spec.GroupId.ToString(CultureInfo.InvariantCulture));
        _log = new GroupLog(_shell, entries, _progress, () => _flusher.Flushed);
        _consensus = new ConsensusGroup(_log, spec.GroupId, setting, new ConsensusLogger(setting.Loggers.CreateLogger<ConsensusGroup>(), spec.GroupId));
        _batcher = new Batcher(setting.Options, setting.Time, ReplicateAsync, Refusal, TellCommit);
        _leaderBarrier = new ReadBarrier(ConfirmAsync);
        _barrier = setting.Members.IsAlone ? _leaderBarrier : new ReadBarrier(CatchUpAsync);
        LeaderTenure tenure = new();
        _consensus.LeaderChanged += (_, leader) => tenure.Begin(leader?.NodeId ?? 0);
        _leader = new LeaderCalls(spec.GroupId, setting, () => _consensus.LeaderNodeId, tenure, _progress, _stopToken);
        _transfer = new LeaderTransfer(spec.GroupId, setting, () => _consensus.LeaderNodeId, Leads, _batcher);
        Endpoint = new GroupEndpoint(_consensus, entries, _progress, _transfer, ProposeAsLeaderAsync, _leaderBarrier.WaitAsync, (leader, index) => setting.NeedSnapshot(new SnapshotNeed(spec.GroupId, leader, index)));
    }

    public long GroupId => _spec.GroupId;

    public GroupSpec Spec => _spec;

    public ITableReader Reader => _state.Store;

    public long Term => _entries.Term;

    public long LeaderNodeId => _consensus.LeaderNodeId;

    public string? Fault => _fault ?? _setting.FailStop.Cause;

    /// <summary>The consensus behind it has died: it must be made anew.</summary>
    public bool IsBroken => _fault is not null && _setting.FailStop.Cause is null;

    public GroupStatus Status
    {
        get
        {
            LogBounds log = _entries.Bounds;
            (long bytes, long oldest, string? fault) = Inspect();
            return new GroupStatus(
                GroupId, LeaderNodeId, Term, log.First, log.Last, log.Commit, _state.Store.Applied, _flusher.Flushed, log.Bytes, bytes, oldest, fault);
        }
    }

    /// <summary>About what it holds in write buffers.</summary>
    public long UnflushedBytes => _flusher.UnflushedBytes;

    /// <summary>For how long.</summary>
    public TimeSpan UnflushedFor => _flusher.UnflushedFor;

    /// <summary>What other nodes can ask of the group.</summary>
    internal GroupEndpoint Endpoint { get; }

    /// <summary>The group's log.</summary>
    internal EntryLog Entries => _entries;

    /// <summary>Opens the log beside the state, checks both, and starts the group. Takes the state over, also when it fails.</summary>
    /// <exception cref="InvalidDataException">The log is damaged, or it and the state do not fit together.</exception>
    public static async Task<TableGroup> StartAsync(GroupSpec spec, GroupSetting setting, IGroupState state)
    {
        TableGroup? group = null;
        try
        {
            EntryLog entries = new(setting.Log, spec.GroupId);
            entries.Open(state.Store.Applied);
            group = new TableGroup(spec, setting, state, entries);
            await group.StartAsync().ConfigureAwait(false);
            return group;
        }
        catch
        {
            if (group is not null)
                await group.DisposeAsync().ConfigureAwait(false);
            else
                state.Dispose();
            throw;
        }
    }

    public ValueTask<ProposalOutcome> ProposeAsync(TableCommand command, CancellationToken cancellationToken) =>
        _setting.Members.IsAlone ? _batcher.ProposeAsync(command, cancellationToken) : ProposeAnywhereAsync(command, cancellationToken);

    public ValueTask<BarrierOutcome> ReadBarrierAsync(CancellationToken cancellationToken) => _barrier.WaitAsync(cancellationToken);

    public ValueTask<string?> MoveLeaderAsync(long nodeId, CancellationToken cancellationToken) => _transfer.MoveAsync(nodeId, cancellationToken);

    public ValueTask WaitForRevisionAsync(long revision, CancellationToken cancellationToken) =>
        _progress.WaitForRevisionAsync(revision, cancellationToken);

    /// <summary>Before a clean stop: if this node leads, another one that is there leads afterwards, and nobody has to wait for an election.</summary>
    public async Task HandOverAsync(CancellationToken cancellationToken)
    {
        foreach (long node in _setting.Members.Ids.Where(id => _setting.Members.Peer(id) is { IsConnected: true }))
        {
            if (!Leads() || await _transfer.HandOverAsync(node, cancellationToken).ConfigureAwait(false) is null)
                return;
        }
    }

    /// <summary>The node stops because of a failure: everybody who waits is told, nobody is acknowledged.</summary>
    public void Abort(string cause)
    {
        _batcher.Close(GroupFailure.Stopped, $"The node is stopping after a failure; nothing happened. {cause}");
        Abandon("the node is stopping after a failure");
        FailWaiters($"The node is stopping after a failure. {cause}");
    }

    /// <summary>What another node is to be told now if this one leads, see <see cref="Heartbeats"/>.</summary>
    /// <param name="now">A time stamp.</param>
    /// <returns>Null: this node does not lead, or nothing is to be told.</returns>
    public Heartbeat? HeartbeatFor(long node, long now) => _consensus.IsDue(node, now) ? _entries.HeartbeatOf(_log.LeaderTerm) : null;

    /// <summary>If this node leads, sees to it that it does not take for granted what heartbeats cannot tell.</summary>
    /// <param name="now">A time stamp.</param>
    /// <returns>Whether heartbeats may tell the other nodes that this one leads.</returns>
    public bool Tend(long now)
    {
        try
        {
            return _consensus.Tend(now);
        }
        catch (UnreachableException)
        {
            // The group is broken; supervision will say so, and another node may lead meanwhile.
            return false;
        }
    }

    /// <summary>What another node has answered to a heartbeat.</summary>
    /// <param name="sentAt">A time stamp from before it was sent.</param>
    public void OnHeartbeatReply(long node, Heartbeat beat, HeartbeatReply reply, long sentAt) => _consensus.OnHeartbeatReply(node, beat.Term, reply, sentAt);

    /// <summary>What an installation waits for may be here.</summary>
    public void Resume() => _applier.Schedule();

    /// <summary>Flushes and cuts if it is time, and looks whether the group is alive. Called by the host, now and then.</summary>
    public Task MaintainAsync() => MaintainAsync(flush: false);

    /// <summary>Flushes and cuts now: memory is short.</summary>
    public Task FlushAsync() => MaintainAsync(flush: true);

    private async Task MaintainAsync(bool flush)
    {
        await _maintenance.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_disposed || _setting.FailStop.Cause is not null)
                return;
            if (_state.BackgroundError is { } error)
            {
                _setting.FailStop.Trigger($"The database of table '{_spec.Name}' (group {GroupId}) failed in the background: {error}");
                return;
            }

            Supervise();
            if (_applier.IsStalled)
                Resume();
            await _flusher.RunAsync(flush).ConfigureAwait(false);
            _state.TrimChangelog();
        }
        catch (Exception e)
        {
            _setting.FailStop.Trigger($"Flushing table '{_spec.Name}' (group {GroupId}) or cutting its log failed: {e.Message}");
        }
        finally
        {
            _maintenance.Release();
        }
    }

    /// <summary>Stops the group: who waits outside the log is refused, what is in the log is finished, the state is flushed so that the next start is short.</summary>
    public ValueTask DisposeAsync() => StopAsync(flush: true);

    /// <summary>Stops the group without a flush: its state is about to be deleted.</summary>
    public ValueTask DiscardAsync() => StopAsync(flush: false);

    private (long Bytes, long Oldest, string? Fault) Inspect()
    {
        try
        {
            return (_state.Bytes, _state.OldestRevision, _fault ?? _setting.FailStop.Cause);
        }
        catch (ObjectDisposedException)
        {
            // Asked while the group was being stopped or dropped.
            return (0, 0, "The table's group has stopped.");
        }
    }

    private async Task StartAsync()
    {
        long last = _entries.Last;
        await _consensus.StartAsync(_stopToken).ConfigureAwait(false);
        // The only member leads now, so everything in the log is committed. Nobody may see less than what was acknowledged before. With others, only a
        // leader can tell how much of it is committed.
        if (_setting.Members.IsAlone)
            await AppliedAsync(last).ConfigureAwait(false);
        LogStarted(_spec.Name, GroupId, Term, _progress.Index, last);
    }

    private async Task AppliedAsync(long index)
    {
        try
        {
            await _progress.WaitForIndexAsync(index, _setting.FailStop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_setting.FailStop.Cause is { } cause)
        {
            throw new IOException(cause);
        }
    }

    /// <summary>DotNext leaves a group dead after a failure in the background, and its callers waiting. Then they are told, and the status says so.</summary>
    private void Supervise()
    {
        if (_fault is not null)
            return;
        string? fault = null;
        try
        {
            if (_consensus.Leads && _stall.IsStalled())
                fault = $"The group of table '{_spec.Name}' commits nothing although its log is synced; restart the node.";
        }
        catch (Exception e)
        {
            fault = $"The group of table '{_spec.Name}' is broken; restart the node. {e.Message}";
        }

        if (fault is null)
            return;
        _fault = fault;
        LogFault(_spec.Name, GroupId, fault);
        Abandon("the table's group is broken");
    }

    private void Abandon(string reason)
    {
        foreach (ProposedEntry entry in _entries.TakeProposals())
            entry.Waiters.Lost(reason);
    }

    private async ValueTask StopAsync(bool flush)
    {
        await _maintenance.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_disposed)
                return;
            _disposed = true;
            _batcher.Close(GroupFailure.Stopped, "The table's group is stopping; nothing happened.");
            if (_setting.FailStop.Cause is null && _fault is null)
                await DrainAsync().ConfigureAwait(false);
            await _stopping.CancelAsync().ConfigureAwait(false);
            await _consensus.StopAsync(CancellationToken.None).ConfigureAwait(false);
            await _consensus.DisposeAsync().ConfigureAwait(false);
            _applier.Stop();
            Abandon("the table's group has stopped");
            FailWaiters("The table's group has stopped.");
            await _batcher.DrainAsync().ConfigureAwait(false);
            await SettleAsync().ConfigureAwait(false);
            if (flush && _setting.FailStop.Cause is null)
                FlushAtStop();
            await _log.DisposeAsync().ConfigureAwait(false);
            RemoveShell();
            _state.Dispose();
            _stopping.Dispose();
        }
        finally
        {
            _maintenance.Release();
        }
    }

    /// <summary>
    /// Who followed may stop with entries on their way to the disk. The log may be opened again at once, for a state that was fetched, and must then find them: they would come behind what is written next,
    /// and be taken for a part of it at the next start.
    /// </summary>
    private async Task SettleAsync()
    {
        try
        {
            await _setting.Log.Settled().WaitAsync(_setting.FailStop.Token).ConfigureAwait(false);
        }
        catch (Exception) when (_setting.FailStop.Cause is not null)
        {
            // The node stops, and its log is not opened again in this life.
        }
    }

    private void FlushAtStop()
    {
        try
        {
            if (_state.Store.Applied.Index > _flusher.Flushed)
                _state.Flush();
        }
        catch (StorageException e)
        {
            // Nothing is lost, the log has it all; but the disk needs a look before the node runs again.
            _setting.FailStop.Trigger($"Flushing table '{_spec.Name}' (group {GroupId}) failed: {e.Message}");
        }
    }

    private void RemoveShell()
    {
        try
        {
            Directory.Delete(_shell, recursive: true);
        }
        catch (IOException)
        {
            // It holds nothing, and the scratch directory is emptied at the next start.
        }
    }

    /// <summary>Waits for the entries on their way, but not for ever: a disk may hang.</summary>
    private async Task DrainAsync()
    {
        try
        {
            await FinishAsync().WaitAsync(_setting.Options.BarrierTimeout, _setting.Time, _setting.FailStop.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException or ObjectDisposedException)
        {
            LogNotDrained(_spec.Name, GroupId);
        }
    }

    /// <summary>Committed is not applied yet, and only then the callers know.</summary>
    private async Task FinishAsync()
    {
        await _batcher.DrainAsync().ConfigureAwait(false);
        await _progress.WaitForIndexAsync(_entries.Commit, CancellationToken.None).ConfigureAwait(false);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Table {Table} (group {Group}) starts in term {Term}; its log is applied up to {Applied} of {Last}")]
    private partial void LogStarted(string table, long group, long term, long applied, long last);

    [LoggerMessage(Level = LogLevel.Error, Message = "Table {Table} (group {Group}) does not work: {Fault}")]
    private partial void LogFault(string table, long group, string fault);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Table {Table} (group {Group}) stops with writes on their way: their callers are told that their fate is unknown")]
    private partial void LogNotDrained(string table, long group);
}
