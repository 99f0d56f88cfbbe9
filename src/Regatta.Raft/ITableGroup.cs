using Regatta.Core;

namespace Regatta.Raft;

/// <summary>
/// One table's replication group on this node: the seam between consensus and everything above it. Tests put a simulated group
/// here; the consensus core can be exchanged behind it. All members may be called from any thread.
/// </summary>
public interface ITableGroup : IAsyncDisposable
{
    /// <summary>Never used again by another table of this site. 1 is the catalogue.</summary>
    long GroupId { get; }

    /// <summary>Local reads; what they see is a prefix of the table's history.</summary>
    ITableReader Reader { get; }

    /// <summary>
    /// Proposes a command and waits until it is applied on this node. Expected failures are outcomes, not exceptions.
    /// Cancelling after the command was handed to the log leaves its fate unknown and says so.
    /// </summary>
    ValueTask<ProposalOutcome> ProposeAsync(TableCommand command, CancellationToken cancellationToken);

    /// <summary>
    /// After it succeeds, <see cref="Reader"/> shows at least every write acknowledged before the call, on any node of the site
    /// (a linearizable read). Concurrent calls share one round.
    /// </summary>
    ValueTask<BarrierOutcome> ReadBarrierAsync(CancellationToken cancellationToken);

    /// <summary>
    /// A moment of the node's clock, as a time stamp, about a heartbeat ago: all that was committed before it, by whichever node, is in <see cref="Reader"/> now. Costs no message, unlike
    /// <see cref="ReadBarrierAsync"/>; only the leader can tell.
    /// </summary>
    /// <returns>Null: this node does not lead the group, or is not sure of it.</returns>
    /// <exception cref="OperationCanceledException">Cancelled before what is committed was applied here.</exception>
    /// <exception cref="ObjectDisposedException">The group has stopped.</exception>
    ValueTask<long?> LedAtAsync(CancellationToken cancellationToken);

    /// <summary>Completes when <see cref="ITableReader.Revision"/> is at least <paramref name="revision"/>.</summary>
    /// <exception cref="OperationCanceledException">Cancelled before it was.</exception>
    /// <exception cref="ObjectDisposedException">The group has stopped.</exception>
    ValueTask WaitForRevisionAsync(long revision, CancellationToken cancellationToken);

    /// <summary>
    /// The table as it is at the end of the first log entry that ends at <paramref name="revision"/> or behind it: the same moment on every node, since the
    /// entries are. Waits for it; asking costs those who write one step cut short.
    /// </summary>
    /// <returns>The caller disposes it. Null: the table has passed that moment on this node.</returns>
    /// <exception cref="OperationCanceledException">Cancelled; nothing stays open.</exception>
    /// <exception cref="ObjectDisposedException">The group has stopped.</exception>
    ValueTask<ExactView?> OpenViewAsync(long revision, CancellationToken cancellationToken);

    /// <summary>Hands the leadership to a node of the site, from whichever node has it; writes wait meanwhile.</summary>
    /// <returns>Null: that node leads. Else why not.</returns>
    ValueTask<string?> MoveLeaderAsync(long nodeId, CancellationToken cancellationToken);

    /// <summary>The term as this node knows it, for the header of every reply: a volatile read, unlike <see cref="Status"/>.</summary>
    long Term { get; }

    /// <summary>The leader as this node knows it, 0 when it knows none; as cheap as <see cref="Term"/>.</summary>
    long LeaderNodeId { get; }

    /// <summary>Why the group does not work; null while it does. As cheap as <see cref="Term"/>.</summary>
    string? Fault { get; }

    /// <summary>A fresh picture for operators. May ask the databases for estimates: not for the path of every request.</summary>
    GroupStatus Status { get; }
}

/// <summary>Why a proposal or barrier did not go through. The text goes to the client: it says what is wrong and what to do.</summary>
public enum GroupFailure
{
    None = 0,

    /// <summary>No leader is known or this node cannot reach it; nothing happened, trying again is safe.</summary>
    NoLeader,

    /// <summary>Queues are full; nothing happened, try again later.</summary>
    Overloaded,

    /// <summary>Free disk space is below the low-water mark; nothing happened, writes resume by themselves when there is room.</summary>
    DiskFull,

    /// <summary>The group or the node is stopping or has stopped; nothing happened.</summary>
    Stopped,

    /// <summary>The command may or may not have been (or may yet be) applied.</summary>
    Unknown,

    /// <summary>The caller cancelled or its deadline passed before anything happened.</summary>
    Cancelled,
}

/// <summary>Either <see cref="Result"/> (applied here) or a failure with its reason.</summary>
public readonly record struct ProposalOutcome(CommandResult? Result, GroupFailure Failure, string? Reason)
{
    public static ProposalOutcome Applied(CommandResult result) => new(result, GroupFailure.None, null);

    public static ProposalOutcome Failed(GroupFailure failure, string reason) => new(null, failure, reason);
}

public readonly record struct BarrierOutcome(GroupFailure Failure, string? Reason)
{
    public bool Succeeded => Failure == GroupFailure.None;
}

/// <summary>A group as it is seen from this node.</summary>
/// <param name="LeaderNodeId">0: no leader known.</param>
/// <param name="FirstIndex">First entry still in the log (behind the cut).</param>
/// <param name="FlushedIndex">The state on disk covers the log up to here; the log may be cut below it.</param>
/// <param name="LogBytes">Payload bytes of the entries in the log.</param>
/// <param name="StoreBytes">Estimated bytes of the table's state on disk and in write buffers, changelog included.</param>
/// <param name="OldestRevision">Oldest revision still in the changelog; 0 when it is empty.</param>
/// <param name="Fault">Why the group is not working; null while it is.</param>
public sealed record GroupStatus(
    long GroupId,
    long LeaderNodeId,
    long Term,
    long FirstIndex,
    long LastIndex,
    long CommitIndex,
    AppliedState Applied,
    long FlushedIndex,
    long LogBytes,
    long StoreBytes,
    long OldestRevision,
    string? Fault);
