using DotNext.Buffers;
using DotNext.IO;
using DotNext.IO.Log;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;
using DotNext.Net.Cluster.Consensus.Raft.StateMachine;

namespace Regatta.Raft;

/// <summary>
/// What DotNext sees of a group's log. <see cref="IPersistentState"/> cannot be implemented from outside (a member of it has an internal setter),
/// so this derives from the shipped log and implements the interface again, every member of it; the base is an idle shell in the scratch
/// directory and holds nothing. The shipped log itself acknowledges entries before they are on disk.
/// </summary>
/// <param name="shellDirectory">May vanish between runs.</param>
/// <param name="flushed">How far the table's state on disk is, read back from disk.</param>
internal sealed class GroupLog(string shellDirectory, EntryLog entries, AppliedProgress progress, Func<long> flushed)
    : WriteAheadLog(new Options { Location = shellDirectory }, NoStateMachine.Instance), IPersistentState
{
    private long _leaderTerm;

    public EntryLog Entries => entries;

    /// <summary>
    /// The term in which this node leads, if it does; or led last. Not the log's: that is another leader's for a moment before DotNext steps down, and what was proposed then would be taken
    /// for that leader's entry by everybody who has this one at its index.
    /// </summary>
    public long LeaderTerm => Volatile.Read(ref _leaderTerm);

    bool IAuditTrail.IsLogEntryLengthAlwaysPresented => true;

    long IAuditTrail.LastCommittedEntryIndex => entries.Commit;

    long IAuditTrail.LastEntryIndex => entries.Last;

    long IPersistentState.Term => entries.Term;

    /// <summary>The log was loaded and checked before DotNext got it.</summary>
    Task IAuditTrail.InitializeAsync(CancellationToken token) => Task.CompletedTask;

    bool IPersistentState.IsVotedFor(in ClusterMemberId id) => entries.MayVoteFor(id);

    async ValueTask<long> IPersistentState.IncrementTermAsync(ClusterMemberId member, CancellationToken token)
    {
        HardState state = await entries.SetTermAsync(hard => hard with { Term = hard.Term + 1, Vote = member }).ConfigureAwait(false);
        return state.Term;
    }

    async ValueTask IPersistentState.UpdateTermAsync(long term, bool resetLastVote, CancellationToken token) =>
        await entries.SetTermAsync(hard => hard with { Term = term, Vote = resetLastVote ? null : hard.Vote }).ConfigureAwait(false);

    async ValueTask IPersistentState.UpdateVotedForAsync(ClusterMemberId member, CancellationToken token) =>
        await entries.SetTermAsync(hard => hard with { Vote = member }).ConfigureAwait(false);

    /// <summary>The leader's own append: it may sync while it replicates, because <see cref="IAuditTrail.CommitAsync"/> waits for the sync.</summary>
    async ValueTask<long> IAuditTrail<IRaftLogEntry>.AppendAsync<TEntry>(TEntry entry, CancellationToken token)
    {
        byte[] record = await ToRecordAsync(entry, token).ConfigureAwait(false);
        await entries.TakeRoomAsync(record.Length, token).ConfigureAwait(false);
        ProposedEntry? proposal = entry as ProposedEntry;
        if (proposal is null)
            entries.Trace?.Won(entries.Group, entry.Term);
        long index = entries.Append(record, proposal);
        // A candidate that was elected appends one entry of its own, in the term of the votes, before it leads.
        if (proposal is null)
            Volatile.Write(ref _leaderTerm, entry.Term);
#if DEBUG
        if (DebugBugs.Current == DebugBug.CommitByLeaderAlone)
            _ = entries.CommitAsync(index, CancellationToken.None).AsTask();
#endif
        return index;
    }

    /// <summary>One entry from a leader, or the word that the state up to <paramref name="startIndex"/> was installed.</summary>
    async ValueTask IAuditTrail<IRaftLogEntry>.AppendAsync<TEntry>(TEntry entry, long startIndex, CancellationToken token)
    {
        if (entry.IsSnapshot)
        {
            // The files of a snapshot travel apart from the log. The log moves past entries only when the state on disk no longer needs them.
            if (flushed() < startIndex)
                throw new InvalidOperationException($"Group {entries.Group}: the state up to {startIndex} is not on this node's disk yet.");
            await entries.RestartBehindAsync(startIndex, entry.Term).ConfigureAwait(false);
            return;
        }

        byte[] record = await ToRecordAsync(entry, token).ConfigureAwait(false);
        await entries.TakeRoomAsync(record.Length, token).ConfigureAwait(false);
        await entries.AppendFromLeader([record], startIndex).ConfigureAwait(false);
    }

    /// <summary>
    /// A follower's append; returns when everything it acknowledges is synced. That includes the entry before the first: a message
    /// without entries acknowledges it too.
    /// </summary>
    async ValueTask IAuditTrail<IRaftLogEntry>.AppendAsync<TEntry>(
        ILogEntryProducer<TEntry> producer, long startIndex, bool skipCommitted, CancellationToken token)
    {
        if (!skipCommitted && startIndex <= entries.Commit)
            throw new InvalidOperationException($"Group {entries.Group}: entry {startIndex} is committed and cannot be replaced.");
        byte[][] records = new byte[checked((int)producer.RemainingCount)][];
        int count = 0;
        long bytes = 0;
        while (count < records.Length && await producer.MoveNextAsync().ConfigureAwait(false))
        {
            byte[] record = await ToRecordAsync(producer.Current, token).ConfigureAwait(false);
            records[count++] = record;
            bytes += record.Length;
        }

        // At once for all of them: a message that waited for room while it held some would block others that do the same.
        if (count > 0)
            await entries.TakeRoomAsync(bytes, token).ConfigureAwait(false);
        Task durable = count == 0 ? entries.DurableAt(startIndex - 1) : entries.AppendFromLeader(records.AsSpan(0, count), startIndex);
        await durable.WaitAsync(token).ConfigureAwait(false);
    }

    ValueTask<long> IAuditTrail.CommitAsync(long endIndex, CancellationToken token) => entries.CommitAsync(endIndex, token);

    /// <summary>Applied, not only committed: DotNext takes it for "the state machine has seen it".</summary>
    ValueTask IAuditTrail.WaitForApplyAsync(long index, CancellationToken token) => progress.WaitForIndexAsync(index, token);

    ValueTask IAuditTrail.WaitForApplyAsync(CancellationToken token) => progress.WaitForNextAsync(token);

    ValueTask<TResult> IAuditTrail<IRaftLogEntry>.ReadAsync<TResult>(
        ILogEntryConsumer<IRaftLogEntry, TResult> reader, long startIndex, long endIndex, CancellationToken token) =>
        entries.ReadAsync(reader, startIndex, endIndex, token);

    ValueTask<TResult> IAuditTrail.ReadAsync<TResult>(
        ILogEntryConsumer<ILogEntry, TResult> reader, long startIndex, long endIndex, CancellationToken token) =>
        entries.ReadAsync(reader, startIndex, endIndex, token);

    private static ValueTask<byte[]> ToRecordAsync<TEntry>(TEntry entry, CancellationToken token)
        where TEntry : IRaftLogEntry =>
        entry.TryGetMemory(out ReadOnlyMemory<byte> payload)
            ? new ValueTask<byte[]>(LogRecord.New(entry.Term, entry.IsConfiguration, payload.Span))
            : CopyAsync(entry, token);

    private static async ValueTask<byte[]> CopyAsync<TEntry>(TEntry entry, CancellationToken token)
        where TEntry : IRaftLogEntry
    {
        using MemoryOwner<byte> copy = await entry.ToMemoryAsync(token: token).ConfigureAwait(false);
        return LogRecord.New(entry.Term, entry.IsConfiguration, copy.Span);
    }

    /// <summary>For the idle base; the table's state machine is fed by the applier.</summary>
    private sealed class NoStateMachine : IStateMachine
    {
        public static readonly NoStateMachine Instance = new();

        public ISnapshot? Snapshot => null;

        public ValueTask ReclaimGarbageAsync(long watermark, CancellationToken token) => default;

        public ValueTask<long> ApplyAsync(LogEntry entry, CancellationToken token) => new(entry.Index);
    }
}
