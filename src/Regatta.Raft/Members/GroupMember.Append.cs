using DotNext.IO.Log;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Regatta.Raft;

/// <summary>How a leader's entries get to a member.</summary>
internal sealed partial class GroupMember
{
    /// <summary>In one round. A log that departs further from the leader's is helped by the rounds that follow.</summary>
    private const int MaxStepsBack = 16;

    private AppendDeadline? _deadline;
    private bool _fellSilent;
    private Acknowledgement? _acknowledged;
    private long _askedAt;
    private long _toldAt;
    private int _underWay;

    /// <summary>Until when the member is known to have followed this node as its leader.</summary>
    public FollowingMark Followed { get; } = new();

    /// <summary>When DotNext last began a round with the member, as a time stamp; 0: never.</summary>
    public long AskedAt => Volatile.Read(ref _askedAt);

    /// <summary>Nothing has just told the member that this node leads, and nothing is on its way that will. Whoever is passed over once waits until the next time, hence the short while.</summary>
    /// <param name="now">A time stamp.</param>
    public bool IsDue(long now) =>
        Volatile.Read(ref _underWay) == 0 && context.Time.GetElapsedTime(Volatile.Read(ref _toldAt), now) >= context.Options.HeartbeatInterval / 8;

    /// <summary>
    /// A member that lacks the entry before the first is sent what it lacks at once, as part of the same round. DotNext would do so in the next round; but a refusal is neither an
    /// acknowledgement nor an absence, so its round does not end before every member has answered or its time is up. A new leader's first message is always refused, as it
    /// takes for granted that the others have its first entry: with one of three members standing still nothing would be committed for as long as that one is waited for.
    /// </summary>
    public async Task<Result<ReplicationStatus>> AppendEntriesAsync<TEntry, TList>(
        long term, TList entries, long prevLogIndex, long prevLogTerm, long commitIndex, CancellationToken token)
        where TEntry : IRaftLogEntry
        where TList : IReadOnlyList<TEntry>
    {
        Volatile.Write(ref _askedAt, context.Time.GetTimestamp());
        if (Volatile.Read(ref _acknowledged) is { } known && entries is EntryBatch asked && known.Answers(term, prevLogIndex, asked))
            return known.Answer;
        Appended answer = await SendAsync<TEntry, TList>(term, entries, prevLogIndex, prevLogTerm, commitIndex, token).ConfigureAwait(false);
        bool isShort = answer.IsShort;
        if (answer.IsRefused(term))
            answer = await StepBackAsync(term, prevLogIndex, prevLogIndex + entries.Count, commitIndex, answer, token).ConfigureAwait(false);
        AppendReply reply = answer.Reply;
        // DotNext begins a round when somebody writes or one is due: a member that lags would get one batch, or one step back, per heartbeat.
        if (reply.Term <= term && (isShort || reply.Result == HeartbeatResult.Rejected))
            context.Lags();
        ReplicationStatus status = new() { Result = Counted(reply.Result, isShort, answer.LastTerm == term), LastIndex = reply.LastIndex };
        Result<ReplicationStatus> result = new() { Term = reply.Term, Value = status };
        if (status.Result == HeartbeatResult.ReplicatedWithLeaderTerm)
            context.Trace?.Counted(groupId, term, nodeId, prevLogIndex + entries.Count);
        Volatile.Write(ref _acknowledged, status.Result == HeartbeatResult.ReplicatedWithLeaderTerm ? new Acknowledgement(term, prevLogIndex + entries.Count, result) : null);
        return result;
    }

    /// <returns>Accepted when the member has everything up to <paramref name="end"/>; else a refusal that says where DotNext is to go on.</returns>
    private async Task<Appended> StepBackAsync(long term, long previous, long end, long commit, Appended refusal, CancellationToken token)
    {
        for (int step = 0; step < MaxStepsBack && previous > 0; step++)
        {
            previous = Math.Min(previous - 1, refusal.Reply.LastIndex);
            long previousTerm = previous == 0 ? 0 : await context.Log.ReadAsync(TermOf.Instance, previous, previous, token).ConfigureAwait(false);
            Missing missing = new(this, context.Log, term, previous, previousTerm, commit);
            if (await context.Log.ReadAsync(missing, previous + 1, end, token).ConfigureAwait(false) is not { } answer)
                return refusal;
            if (!answer.IsRefused(term))
                return answer.IsShort ? answer with { Reply = answer.Reply with { Result = HeartbeatResult.Rejected } } : answer;
            refusal = answer with { Reply = answer.Reply with { LastIndex = Math.Min(answer.Reply.LastIndex, previous - 1) } };
        }

        return refusal;
    }

    private async Task<Appended> SendAsync<TEntry, TList>(
        long term, TList entries, long previous, long previousTerm, long commit, CancellationToken token)
        where TEntry : IRaftLogEntry
        where TList : IReadOnlyList<TEntry>
    {
        // Before anything is copied.
        IPeer other = Present();
        byte[] request = RaftMessages.EncodeAppend<TEntry, TList>(term, entries, previous, previousTerm, commit);
        long sentAt = context.Time.GetTimestamp();
        AppendReply reply = RaftMessages.DecodeAppendReply(await TellAsync(other, PeerMethod.Append, request, token).ConfigureAwait(false));
        if (reply.Term == term)
            Followed.Note(term, sentAt);
        return new Appended(reply, entries is EntryBatch { IsShort: true }, entries.Count > 0 ? entries[^1].Term : previousTerm);
    }

    /// <summary>
    /// DotNext queues a member's rounds while it waits for an answer, and sends them one by one; so a member that did not answer gets no further ones until something is heard of it.
    /// </summary>
    /// <exception cref="MemberUnavailableException">There is no connection to it, or it fell silent.</exception>
    private IPeer Present()
    {
        IPeer other = Other();
        return other.IsConnected && !(Volatile.Read(ref _fellSilent) && IsSilent(other)) ? other : throw new MemberUnavailableException(this);
    }

    /// <summary>A message of a leader.</summary>
    private async Task<ReadOnlyMemory<byte>> TellAsync(IPeer other, PeerMethod method, byte[] request, CancellationToken token)
    {
        Volatile.Write(ref _toldAt, context.Time.GetTimestamp());
        // Messages of a leadership that ends and of the next one may overlap.
        AppendDeadline deadline = Interlocked.Exchange(ref _deadline, null) ?? new AppendDeadline(other, context.Options, context.Time);
        Interlocked.Increment(ref _underWay);
        try
        {
            return await CallAsync(other, method, request, deadline.Begin(token), token).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _underWay);
            Volatile.Write(ref _fellSilent, IsSilent(other));
            AppendDeadline? spent = deadline.TryEnd() ? Interlocked.Exchange(ref _deadline, deadline) : deadline;
            spent?.Dispose();
        }
    }

    private bool IsSilent(IPeer other) => other.Silence >= AppendDeadline.Patience(context.Options);

    /// <summary>
    /// DotNext commits by the median of the replies that it has. With more than three members two of three replies are no majority: one that holds less than the round was about must
    /// not count as an index. And nothing counts that does not end in an entry of this term (Raft, section 5.4.2): a member says so of a batch that is cut short,
    /// but DotNext's answer to that is true for ever once it was true.
    /// </summary>
    private HeartbeatResult Counted(HeartbeatResult result, bool isShort, bool isOfThisTerm) =>
        result == HeartbeatResult.ReplicatedWithLeaderTerm && ((isShort && context.MembersCount > 3) || !isOfThisTerm) ? HeartbeatResult.Replicated : result;

    /// <param name="IsShort">The log has more of what the message was about.</param>
    /// <param name="LastTerm">Of the last entry that the member has if it accepted the message.</param>
    private readonly record struct Appended(AppendReply Reply, bool IsShort, long LastTerm)
    {
        public bool IsRefused(long term) => Reply.Result == HeartbeatResult.Rejected && Reply.Term <= term;
    }

    /// <summary>
    /// A member has acknowledged a message that ended in an entry of its leader's term. Each round of DotNext has an end of its own, where the log ended when the round began; rounds that wait while the member is
    /// busy and that end before the message did had all begun before it was sent, for the log was longer by then. What the member said afterwards answers them, too: it follows that leader, and has all that the
    /// rounds were about. A member that takes longer than the other one of three would else get ever further behind, by empty messages.
    /// </summary>
    private sealed record Acknowledgement(long Term, long Last, Result<ReplicationStatus> Answer)
    {
        public bool Answers(long term, long previous, EntryBatch round) => term == Term && previous == Last && round.Count == 0 && round.End < Last;
    }

    /// <summary>Sends what is read from the log; nothing when the member needs a snapshot, or this node leads in that term no more and the log may be another one's.</summary>
    private sealed class Missing(GroupMember member, EntryLog log, long term, long previous, long previousTerm, long commit)
        : ILogEntryConsumer<IRaftLogEntry, Appended?>
    {
        public async ValueTask<Appended?> ReadAsync<TEntry, TList>(TList entries, long? snapshotIndex, CancellationToken token)
            where TEntry : notnull, IRaftLogEntry
            where TList : notnull, IReadOnlyList<TEntry> =>
            snapshotIndex is null && log.Term == term
                ? await member.SendAsync<TEntry, TList>(term, entries, previous, previousTerm, commit, token).ConfigureAwait(false)
                : null;
    }

    private sealed class TermOf : ILogEntryConsumer<IRaftLogEntry, long>
    {
        public static readonly TermOf Instance = new();

        public bool LogEntryMetadataOnly => true;

        public ValueTask<long> ReadAsync<TEntry, TList>(TList entries, long? snapshotIndex, CancellationToken token)
            where TEntry : notnull, IRaftLogEntry
            where TList : notnull, IReadOnlyList<TEntry> => new(entries[0].Term);
    }
}
