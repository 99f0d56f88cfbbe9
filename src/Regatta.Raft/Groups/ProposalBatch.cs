using Regatta.Core;

namespace Regatta.Raft;

/// <summary>The callers of one entry, in the order of its commands.</summary>
internal sealed class ProposalBatch(Batcher owner, Proposal[] callers) : IProposalWaiters
{
    private int _slotFreed;

    public ReadOnlySpan<Proposal> Callers => callers;

    public void Set(int position, CommandResult result) => callers[position].Result = result;

    public void Committed() => FreeSlot();

    public void Applied()
    {
        owner.Settle(callers, GroupFailure.None, null);
        FreeSlot();
    }

#if DEBUG
    public void Lost(string reason) => Fail(
        DebugBugs.Current == DebugBug.LostMeansUndone ? GroupFailure.NoLeader : GroupFailure.Unknown, $"The write may or may not take effect: {reason}.");
#else
    public void Lost(string reason) => Fail(GroupFailure.Unknown, $"The write may or may not take effect: {reason}.");
#endif

    /// <summary>Tells all callers that still wait. Later calls find none.</summary>
    public void Fail(GroupFailure failure, string reason)
    {
        owner.Settle(callers, failure, reason);
        FreeSlot();
    }

    private void FreeSlot()
    {
        if (Interlocked.Exchange(ref _slotFreed, 1) == 0)
            owner.FreeSlot();
    }
}
