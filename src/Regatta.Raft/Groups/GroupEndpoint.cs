using DotNext.Net.Cluster.Consensus.Raft;
using Regatta.Core;

namespace Regatta.Raft;

/// <summary>What other nodes can ask of a group on this one. Thread-safe.</summary>
/// <param name="propose">Hands a command to the batcher if this node leads.</param>
/// <param name="barrier">Confirms that this node leads; never asks another node.</param>
/// <param name="needSnapshot">The leader (first argument) has cut its log up to an index (second) that this node's state does not reach.</param>
internal sealed class GroupEndpoint(
    ConsensusGroup consensus,
    EntryLog entries,
    AppliedProgress progress,
    LeaderTransfer transfer,
    Func<TableCommand, CancellationToken, ValueTask<ProposalOutcome>> propose,
    Func<CancellationToken, ValueTask<BarrierOutcome>> barrier,
    Action<long, long> needSnapshot)
{
    private int _isBeaten;

    /// <exception cref="InvalidDataException">The request is malformed.</exception>
    /// <exception cref="NotSupportedException">A group does not serve that method.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> HandleAsync(long from, PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        switch (method)
        {
            case PeerMethod.Append:
                AppendReply reply = await consensus.OnAppendAsync(from, RaftMessages.DecodeAppend(request), cancellationToken).ConfigureAwait(false);
                return RaftMessages.Encode(reply);
            case PeerMethod.Vote:
                return await consensus.OnVoteAsync(from, RaftMessages.DecodeVote(request), cancellationToken).ConfigureAwait(false);
            case PeerMethod.PreVote:
                return await consensus.OnPreVoteAsync(from, RaftMessages.DecodeVote(request), cancellationToken).ConfigureAwait(false);
            case PeerMethod.InstallSnapshot:
                return RaftMessages.Encode(await OnSnapshotAsync(from, RaftMessages.DecodeSnapshot(request), cancellationToken).ConfigureAwait(false));
            case PeerMethod.Propose:
                return await ProposeAsync(request, cancellationToken).ConfigureAwait(false);
            case PeerMethod.ReadIndex:
                return await ReadIndexAsync(cancellationToken).ConfigureAwait(false);
            case PeerMethod.Transfer:
                string? obstacle = await transfer.HandOverAsync(RaftMessages.DecodeNumber(request), cancellationToken).ConfigureAwait(false);
                return RaftMessages.EncodeOutcome(obstacle is null ? GroupFailure.None : GroupFailure.NoLeader, obstacle, []);
            case PeerMethod.Campaign:
                bool leads = await consensus.CampaignAsync(LeaderTransfer.CampaignTime, cancellationToken).ConfigureAwait(false);
                return RaftMessages.Numbers(leads ? 1 : 0);
            default:
                throw new NotSupportedException($"A group does not serve {method}.");
        }
    }

    /// <summary>One of a leader's <see cref="Heartbeats"/>. A group that is still at work on the one before says nothing.</summary>
    public async ValueTask<HeartbeatReply> OnBeatAsync(long from, Heartbeat beat, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _isBeaten, 1) != 0)
            return default;
        try
        {
            return HeartbeatReply.Of(await consensus.OnAppendAsync(from, beat.ToRequest(), cancellationToken).ConfigureAwait(false));
        }
        finally
        {
            Volatile.Write(ref _isBeaten, 0);
        }
    }

    /// <summary>Answers with what was applied here when this node was confirmed to lead, and in which term it does.</summary>
    private async ValueTask<byte[]> ReadIndexAsync(CancellationToken cancellationToken)
    {
        long term = entries.Term;
        BarrierOutcome outcome = await barrier(cancellationToken).ConfigureAwait(false);
        if (outcome.Succeeded && entries.Term != term)
            outcome = new BarrierOutcome(GroupFailure.NoLeader, "The leadership has just ended.");
        return RaftMessages.EncodeOutcome(outcome.Failure, outcome.Reason, RaftMessages.Numbers(progress.Index, term));
    }

    private async ValueTask<byte[]> ProposeAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        ProposalOutcome outcome = await propose(ProposalEncoding.Decode(request), cancellationToken).ConfigureAwait(false);
        return RaftMessages.EncodeOutcome(outcome.Failure, outcome.Reason, outcome.Result is { } result ? CommandResultEncoding.Encode(result).Span : default);
    }

    /// <summary>
    /// The entries that this node needs are gone at the leader. It says so with every round until this node has the state, which it fetches by itself; until then
    /// its log does not move, but it knows that there is a leader.
    /// </summary>
    private async ValueTask<AppendReply> OnSnapshotAsync(long from, SnapshotNotice notice, CancellationToken cancellationToken)
    {
        AppendReply beat = await consensus.OnAppendAsync(from, new AppendRequest(notice.Term, 0, 0, 0, []), cancellationToken).ConfigureAwait(false);
        if (beat.Term > notice.Term)
            return beat with { Result = HeartbeatResult.Rejected };
        if (entries.Commit >= notice.Index)
            return new AppendReply(beat.Term, HeartbeatResult.Replicated, notice.Index);
        needSnapshot(from, notice.Index);
        throw new IOException("the state up to the leader's log is being fetched");
    }
}
