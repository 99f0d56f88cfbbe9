using Regatta.Core;

namespace Regatta.Raft;

/// <summary>
/// How a node that does not lead a group serves requests that need the leader: it sends them there. Waits for a leader for a bounded time; a request that
/// may have had an effect is never sent twice.
/// </summary>
/// <param name="stopped">The group has stopped on this node, and never hears of a leader again; another one may be in its place.</param>
internal sealed class LeaderCalls(long groupId, GroupSetting setting, Func<long> leaderNodeId, LeaderTenure tenure, AppliedProgress progress, CancellationToken stopped)
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(20);

    /// <summary>For a leader that is none any more to say what became of a write that it was sent, from its last sign of life on.</summary>
    private static readonly TimeSpan TimeToAnswer = TimeSpan.FromSeconds(1);

    /// <summary>Why the last attempt came to nothing.</summary>
    private volatile string _obstacle = "No leader is known.";

    /// <param name="leads">Whether this node leads now: then the caller serves the request itself.</param>
    /// <returns>Null when this node leads. What was applied is applied on this node, too, unless the caller's time was up.</returns>
    public async ValueTask<ProposalOutcome?> ProposeAsync(TableCommand command, Func<bool> leads, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> request = ProposalEncoding.Encode(command);
        long began = setting.Time.GetTimestamp();
        try
        {
            while (!leads())
            {
                if (stopped.IsCancellationRequested)
                    return ProposalOutcome.Failed(GroupFailure.Stopped, "The table's group has stopped; nothing happened.");
                if (Leader() is { } leader && await TryProposeAsync(leader, request, cancellationToken).ConfigureAwait(false) is { } outcome)
                    return outcome;
                if (setting.Time.GetElapsedTime(began) >= setting.Options.LeaderTimeout)
                    return ProposalOutcome.Failed(GroupFailure.NoLeader, NoLeader());
                await Task.Delay(AskAgain, setting.Time, cancellationToken).ConfigureAwait(false);
            }

            return null;
        }
        catch (OperationCanceledException)
        {
            return ProposalOutcome.Failed(GroupFailure.Cancelled, "The call was cancelled before anything happened.");
        }
    }

    /// <returns>Null when this node leads; else this node has applied all that was committed when the call began.</returns>
    public async Task<BarrierOutcome?> ReadIndexAsync(Func<bool> leads, CancellationToken cancellationToken)
    {
        while (!leads())
        {
            if (Leader() is { } leader && await TryReadIndexAsync(leader, cancellationToken).ConfigureAwait(false) is { } index)
            {
                await progress.WaitForIndexAsync(index, cancellationToken).ConfigureAwait(false);
                return default(BarrierOutcome);
            }

            await Task.Delay(AskAgain, setting.Time, cancellationToken).ConfigureAwait(false);
        }

        return null;
    }

    public string NoLeader() => $"The table's group has no leader that this node can reach (waited {setting.Options.LeaderTimeout.TotalSeconds:0.#} s); nothing happened, try again. {_obstacle}";

    /// <summary>
    /// Null also while nothing is heard from it, although heartbeats come more often than that: a write that was not sent to a node that stands still can go to the next leader, and nobody
    /// has to be told that its fate is unknown.
    /// </summary>
    private IPeer? Leader()
    {
        long id = leaderNodeId();
        if (id != 0 && setting.Members.Peer(id) is { } peer)
        {
            if (peer.Silence < setting.Options.ElectionTimeout / 2)
                return peer;
            _obstacle = $"Node {id} led it when it was last heard of.";
        }
        else
        {
            _obstacle = id == 0 ? "No leader is known." : "This node was elected and does not lead yet.";
        }

        return null;
    }

    /// <returns>Null: nothing happened, and another leader may be found.</returns>
    private async Task<ProposalOutcome?> TryProposeAsync(IPeer leader, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // One that has handed the leadership over says at once that nothing happened; only of one that stands still the fate stays unknown.
        void Hurry() => limit.CancelAfter(TimeToAnswer > leader.Silence ? TimeToAnswer - leader.Silence : TimeSpan.Zero);
        using CancellationTokenRegistration deposed = tenure.Over(leader.NodeId).UnsafeRegister(_ => Hurry(), null);
        // It may have been deposed before anybody was there to be told.
        if (leaderNodeId() is var now && now != 0 && now != leader.NodeId)
            Hurry();
        try
        {
            ReadOnlyMemory<byte> reply = await leader.CallAsync(groupId, PeerMethod.Propose, request, limit.Token).ConfigureAwait(false);
            (GroupFailure failure, string? reason, ReadOnlyMemory<byte> answer) = RaftMessages.DecodeOutcome(reply);
            if (failure is GroupFailure.NoLeader or GroupFailure.Stopped)
            {
                _obstacle = $"Node {leader.NodeId}, which should lead it, says: {reason}";
                return null;
            }

            if (failure != GroupFailure.None)
                return ProposalOutcome.Failed(failure, reason ?? "");
            CommandResult result = CommandResultEncoding.Decode(answer);
            await AppliedHereAsync(result.Revision, cancellationToken).ConfigureAwait(false);
            return ProposalOutcome.Applied(result);
        }
        catch (PeerUnavailableException e) when (!e.WasSent)
        {
            _obstacle = e.Message;
            return null;
        }
        catch (Exception e) when (e is PeerUnavailableException or PeerCallException or InvalidDataException)
        {
            return ProposalOutcome.Failed(GroupFailure.Unknown, $"The write was handed to the table's leader, and what became of it is not known: {e.Message}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return ProposalOutcome.Failed(GroupFailure.Unknown, "The write was handed to the table's leader, and another node took over before it answered.");
        }
        catch (OperationCanceledException)
        {
            return ProposalOutcome.Failed(
                GroupFailure.Unknown, "The call was cancelled after the write was handed to the table's leader: it may or may not take effect.");
        }
    }

    // The write has happened; that this node shows it is a courtesy for which the caller may have no time.
    private async Task AppliedHereAsync(long revision, CancellationToken cancellationToken)
    {
        try
        {
            await progress.WaitForRevisionAsync(revision, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
        }
    }

    private async Task<long?> TryReadIndexAsync(IPeer leader, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, tenure.Over(leader.NodeId));
        try
        {
            ReadOnlyMemory<byte> reply = await leader.CallAsync(groupId, PeerMethod.ReadIndex, default, limit.Token).ConfigureAwait(false);
            (GroupFailure failure, _, ReadOnlyMemory<byte> answer) = RaftMessages.DecodeOutcome(reply);
            return failure == GroupFailure.None ? RaftMessages.DecodePair(answer).First : null;
        }
        catch (Exception e) when (e is PeerUnavailableException or PeerCallException or InvalidDataException
            or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }
}
