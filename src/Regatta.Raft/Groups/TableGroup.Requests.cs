using System.Diagnostics;
using DotNext.Net.Cluster.Consensus.Raft;
using Regatta.Core;

namespace Regatta.Raft;

/// <summary>How the group serves a write, a linearizable read or an exact view: the first two here if this node leads, else by the node that does.</summary>
internal sealed partial class TableGroup
{
    public ValueTask<ExactView?> OpenViewAsync(long revision, CancellationToken cancellationToken) => _applier.OpenViewAsync(revision, cancellationToken);

    public async ValueTask<long?> LedAtAsync(CancellationToken cancellationToken)
    {
        if (_fault is not null || _setting.FailStop.Cause is not null || !Leads() || _consensus.LedAt() is not { } moment)
            return null;
        await _progress.WaitForIndexAsync(_entries.Commit, cancellationToken).ConfigureAwait(false);
        return moment;
    }

    private void FailWaiters(string reason)
    {
        // Without an object's name, which would make two lines of the message.
        ObjectDisposedException failure = new(null, reason);
        _progress.Fail(failure);
        _views.Fail(failure);
    }

    private bool Leads()
    {
        try
        {
            return _consensus.Leads;
        }
        catch (UnreachableException)
        {
            // The group is broken; supervision will say so.
            return false;
        }
    }

    private ValueTask<ProposalOutcome> ProposeAsLeaderAsync(TableCommand command, CancellationToken cancellationToken) => Leads()
        ? _batcher.ProposeAsync(command, cancellationToken)
        : new ValueTask<ProposalOutcome>(ProposalOutcome.Failed(GroupFailure.NoLeader, "This node does not lead the table's group; nothing happened."));

    /// <summary>Wherever the leader is, also when it changes meanwhile, as long as nothing has happened.</summary>
    private async ValueTask<ProposalOutcome> ProposeAnywhereAsync(TableCommand command, CancellationToken cancellationToken)
    {
        long began = _setting.Time.GetTimestamp();
        while (true)
        {
            if (Leads())
            {
                ProposalOutcome here = await _batcher.ProposeAsync(command, cancellationToken).ConfigureAwait(false);
                bool isMoved = here.Failure == GroupFailure.NoLeader && _fault is null;
                if (!isMoved || _setting.Time.GetElapsedTime(began) >= _setting.Options.LeaderTimeout)
                    return here;
            }

            if (await _leader.ProposeAsync(command, Leads, cancellationToken).ConfigureAwait(false) is { } elsewhere)
                return elsewhere;
        }
    }

    /// <summary>Nothing follows the entry that was committed: the others would hear of the commit with the next heartbeat only.</summary>
    private void TellCommit()
    {
        if (_setting.Members.IsAlone || !Leads())
            return;
        // In this order: what is committed is in the log of every later leader, but not the other way round.
        long commit = _entries.Commit;
        _setting.Notices.Tell(new CommitNotice(GroupId, _entries.Term, commit));
    }

    private ProposalOutcome? Refusal()
    {
        if (_setting.FailStop.Cause is { } cause)
            return ProposalOutcome.Failed(GroupFailure.Stopped, $"The node is stopping after a failure; nothing happened. {cause}");
        if (_setting.Room.IsLow)
            return _setting.Room.Refusal;
        return _fault is { } fault ? ProposalOutcome.Failed(GroupFailure.NoLeader, fault) : null;
    }

    private async Task ReplicateAsync(ReadOnlyMemory<byte> payload, ProposalBatch batch)
    {
        // The only member leads from the start, in the log's term and without an entry of its own.
        ProposedEntry entry = new(_setting.Members.IsAlone ? _entries.Term : _log.LeaderTerm, payload, batch);
        try
        {
            await _consensus.ReplicateAsync(entry, _stopToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (entry.IsInLog && _stopToken.IsCancellationRequested)
        {
            // DotNext waits no longer; who waits here has the result from the applier, or is told when the log's entries are abandoned.
        }
        catch (Exception e)
        {
            if (entry.IsInLog)
                batch.Lost(e is NotLeaderException ? "this node lost the leadership" : e.Message);
            else if (_setting.FailStop.Cause is not null || _stopToken.IsCancellationRequested)
                batch.Fail(GroupFailure.Stopped, "The table's group has stopped; nothing happened.");
            else
                batch.Fail(GroupFailure.NoLeader, $"This node does not lead the table's group; nothing happened. {e.Message}");
        }
    }

    /// <summary>A linearizable read on any node: confirmed here if this node leads, else by the leader.</summary>
    private async Task<BarrierOutcome> CatchUpAsync()
    {
        if (_setting.FailStop.Cause is not null || _stopToken.IsCancellationRequested)
            return new BarrierOutcome(GroupFailure.Stopped, "The table's group has stopped.");
        using TimeLimit deadline = new(_setting.Options.BarrierTimeout, _setting.Time, _stopToken, _setting.FailStop.Token);
        try
        {
            while (true)
            {
                BarrierOutcome outcome = await _leader.ReadIndexAsync(Leads, deadline.Token).ConfigureAwait(false)
                    ?? await _leaderBarrier.WaitAsync(deadline.Token).ConfigureAwait(false);
                // Not the caller's time was over, but the one that all who wait here share.
                if (outcome.Failure == GroupFailure.Cancelled)
                    deadline.Token.ThrowIfCancellationRequested();
                // The leadership was lost on the way: another node has it, or will have it.
                if (outcome.Failure != GroupFailure.NoLeader || _fault is not null)
                    return outcome;
            }
        }
        catch (OperationCanceledException)
        {
            return _stopToken.IsCancellationRequested || _setting.FailStop.Cause is not null
                ? new BarrierOutcome(GroupFailure.Stopped, "The table's group has stopped.")
                : new BarrierOutcome(GroupFailure.NoLeader, _leader.NoLeader());
        }
    }

    private async Task<BarrierOutcome> ConfirmAsync()
    {
        if (_setting.FailStop.Cause is not null || _stopToken.IsCancellationRequested)
            return new BarrierOutcome(GroupFailure.Stopped, "The table's group has stopped.");
        if (_fault is { } fault)
            return new BarrierOutcome(GroupFailure.NoLeader, fault);
        using TimeLimit deadline = new(_setting.Options.BarrierTimeout, _setting.Time, _stopToken, _setting.FailStop.Token);
        try
        {
            if (!_consensus.Leads)
                return new BarrierOutcome(GroupFailure.NoLeader, "This node does not lead the table's group.");
            // A leader that leads knows what was committed before its term.
            long index = _entries.Commit;
#if DEBUG
            if (DebugBugs.Current == DebugBug.UnconfirmedLeaderRead)
                return default;
#endif
            await _consensus.ConfirmLeadershipAsync(deadline.Token).ConfigureAwait(false);
            await _progress.WaitForIndexAsync(index, deadline.Token).ConfigureAwait(false);
            return default;
        }
        catch (OperationCanceledException)
        {
            return _stopToken.IsCancellationRequested || _setting.FailStop.Cause is not null
                ? new BarrierOutcome(GroupFailure.Stopped, "The table's group has stopped.")
                : new BarrierOutcome(GroupFailure.NoLeader, $"Leadership was not confirmed within {_setting.Options.BarrierTimeout.TotalSeconds} s.");
        }
        catch (NotLeaderException)
        {
            return new BarrierOutcome(GroupFailure.NoLeader, "The table's group has no leader.");
        }
    }
}
