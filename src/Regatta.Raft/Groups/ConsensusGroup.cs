using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using DotNext.Diagnostics;
using DotNext.Net.Cluster.Consensus.Raft;
using Microsoft.Extensions.Logging;

namespace Regatta.Raft;

/// <summary>DotNext's Raft for one group: elections, replication rounds and commit; our log and our members.</summary>
internal sealed class ConsensusGroup : RaftCluster<GroupMember>
{
    private static readonly TimeSpan CampaignStart = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan CampaignTry = TimeSpan.FromMilliseconds(500);

    private readonly GroupMember[] _members;
    private readonly EntryLog _entries;
    private readonly TimeProvider _time;
    private readonly GroupOptions _options;
    private readonly ILogger _logger;
    private volatile int _campaigns;
    private long _wantedAt;

    [SetsRequiredMembers]
    public ConsensusGroup(GroupLog log, long groupId, GroupSetting setting, ILogger logger)
        : base(new Configuration(setting.Options, setting.Members.Stands(groupId)))
    {
        AuditTrail = log;
        MemberContext context = new(log.Entries, setting.Members.Ids.Length, () => Leader, () => _campaigns != 0, ForceRound, setting.Options, setting.Time) { Trace = log.Entries.Trace };
        _members = [.. setting.Members.Ids.Select(id => new GroupMember(groupId, id, setting.Members.Peer(id), context))];
        _entries = log.Entries;
        _time = setting.Time;
        _options = setting.Options;
        _logger = logger;
    }

    /// <summary>0: none is known.</summary>
    public long LeaderNodeId => Leader?.NodeId ?? 0;

    /// <summary>This node leads and has everything applied that was in its log when it began to.</summary>
    /// <exception cref="System.Diagnostics.UnreachableException">The group is broken and must be made anew.</exception>
    public bool Leads => !LeadershipToken.IsCancellationRequested;

    protected override ILogger Logger => _logger;

    /// <summary>
    /// Starts the group. The only member of one leads at once, in a term of its own: entries of different lives of a node never share index and term.
    /// Of several, each begins as a follower in the term that it has stored.
    /// </summary>
    public override async Task StartAsync(CancellationToken token = default)
    {
        ConfigurationChangeScope scope = await ChangeConfigurationAsync(token).ConfigureAwait(false);
        await using (scope.ConfigureAwait(false))
        {
            foreach (GroupMember member in _members)
                scope.MarkAsAdded(member);
        }

        if (_members is [var only])
        {
            long term = await AuditTrail.IncrementTermAsync(only.Id, token).ConfigureAwait(false);
            _entries.Trace?.Won(_entries.Group, term);
        }

        await base.StartAsync(token).ConfigureAwait(false);
        StartFollowing();
    }

    public async ValueTask<byte[]> OnVoteAsync(long from, VoteRequest vote, CancellationToken token)
    {
        ForgetLeader(vote.IsTransfer);
        Result<bool> reply = await VoteAsync(GroupMember.IdOf(from), vote.Term, vote.LastIndex, vote.LastTerm, 0, token).ConfigureAwait(false);
        return RaftMessages.EncodeVoteReply(reply.Term, reply.Value ? 1 : 0);
    }

    public async ValueTask<byte[]> OnPreVoteAsync(long from, VoteRequest vote, CancellationToken token)
    {
        if (vote.IsTransfer && vote.Term > _entries.Term && _entries.IsUpToDate(vote.LastIndex, vote.LastTerm))
            return RaftMessages.EncodeVoteReply(_entries.Term, (long)PreVoteResult.Accepted);
        ForgetLeader(isAsked: false);
        Result<PreVoteResult> reply = await PreVoteAsync(GroupMember.IdOf(from), vote.Term, vote.LastIndex, vote.LastTerm, 0, token).ConfigureAwait(false);
        return RaftMessages.EncodeVoteReply(reply.Term, (long)reply.Value);
    }

    public async ValueTask<AppendReply> OnAppendAsync(long from, AppendRequest request, CancellationToken token)
    {
        request = BehindCut(request);
        Result<ReplicationStatus> reply = await AppendEntriesAsync(
            GroupMember.IdOf(from), request.Term, new ReceivedEntries(request.Entries), request.PreviousIndex, request.PreviousTerm, request.Commit, 0, token).ConfigureAwait(false);
        if (reply.Term == request.Term && reply.Value.Result is HeartbeatResult.Replicated or HeartbeatResult.ReplicatedWithLeaderTerm)
        {
            long matched = request.PreviousIndex + request.Entries.Length;
            _entries.Trace?.Matched(_entries.Group, request.Term, matched);
            await _entries.OnMatchedAsync(request.Term, matched).ConfigureAwait(false);
        }

        return new AppendReply(reply.Term, reply.Value.Result, reply.Value.LastIndex);
    }

    /// <summary>Stands for election at once, although there is a leader: it has asked for that.</summary>
    /// <returns>Whether this node leads now, or did not get there in time.</returns>
    public async Task<bool> CampaignAsync(TimeSpan time, CancellationToken token)
    {
        // Asked twice: the time-out that it borrows must not be taken for the usual one.
        if (Interlocked.Exchange(ref _campaigns, 1) != 0)
            return Leads;
        long began = _time.GetTimestamp();
        try
        {
            while (true)
            {
                await StandAsync(token).ConfigureAwait(false);
                long tried = _time.GetTimestamp();
                while (!Leads && _time.GetElapsedTime(tried) < CampaignTry)
                    await Task.Delay(CampaignStart, _time, token).ConfigureAwait(false);
                if (Leads || _time.GetElapsedTime(began) >= time)
                    return Leads;
            }
        }
        finally
        {
            _campaigns = 0;
        }
    }

    /// <summary>The leader begins a round at once, or as soon as the one that runs is over, instead of with the next heartbeat. Nothing on others.</summary>
    public void ForceRound()
    {
        if (Leader is not { IsRemote: false })
            return;
        WantRound();
        _ = ForceRoundAsync();
    }

    /// <summary>
    /// If this node leads, begins a round when something is not committed yet, when no majority is known to have followed lately, or when there was none for long. For the rest <see cref="Heartbeats"/> will do:
    /// they tell others that there is a leader, and nothing to DotNext.
    /// </summary>
    /// <param name="now">A time stamp.</param>
    /// <returns>Heartbeats will do: this node leads, and a round that was asked for begins. If it did not, they would only hide that another node had better lead.</returns>
    /// <exception cref="System.Diagnostics.UnreachableException">The group is broken and must be made anew.</exception>
    public bool Tend(long now)
    {
        long? led = LedAt();
        if (!Leads && Leader is not { IsRemote: false })
            return false;
        long round = LastRound;
        long wanted = Volatile.Read(ref _wantedAt);
        bool isStuck = wanted > round && _time.GetElapsedTime(wanted, now) >= _options.ElectionTimeout;
        bool isFollowed = led is { } moment && _time.GetElapsedTime(moment, now) < _options.ElectionTimeout;
        bool isQuiet = isFollowed && _entries.Commit == _entries.Last;
        // Asked for once more: DotNext may miss a call that comes while a round begins.
        if (!isQuiet || wanted > round || _time.GetElapsedTime(round, now) >= _options.RoundInterval)
            ForceRound();
        return isQuiet && !isStuck;
    }

    /// <summary>Whether a heartbeat is to tell that node that this one leads: nothing else has done so lately.</summary>
    /// <param name="now">A time stamp.</param>
    public bool IsDue(long node, long now) => MemberOn(node).IsDue(now);

    /// <summary>Of a member that lacks something, or follows another leader, DotNext hears in a round of its own.</summary>
    /// <param name="term">In which this node led.</param>
    public void OnHeartbeatReply(long node, long term, HeartbeatReply reply, long sentAt)
    {
        if (reply.Term == term)
            MemberOn(node).Followed.Note(term, sentAt);
        if (reply is { Term: > 0, IsAccepted: false })
            ForceRound();
    }

    /// <summary>
    /// Returns when a majority has followed this leader in a round that began after the call. DotNext's read barrier waits for such a round too, but now and then for none: who asks in the very moment
    /// in which a round begins may look at the old side of a valve that has just been switched, and is let through at once. What is let through without waiting is asked again.
    /// </summary>
    /// <exception cref="NotLeaderException">This node does not lead, or does not any more.</exception>
    public ValueTask ConfirmLeadershipAsync(CancellationToken token) => WaitForOneAsync(() =>
    {
        WantRound();
        return ForceReplicationAsync(token);
    });

    /// <summary>
    /// A moment at which this node was certainly the leader, known from the rounds that there were anyway: a majority has answered, in its term, what was sent then or later. None of those could have helped another
    /// one to be elected before, so what was committed before that moment is in the commit index that is read behind this call.
    /// </summary>
    /// <returns>A time stamp; null: this node does not lead, or no majority has answered yet.</returns>
    /// <exception cref="System.Diagnostics.UnreachableException">The group is broken and must be made anew.</exception>
    public long? LedAt()
    {
        long now = _time.GetTimestamp();
        long term = _entries.Term;
        Span<long> followed = stackalloc long[_members.Length];
        for (int i = 0; i < _members.Length; i++)
            followed[i] = _members[i].IsRemote ? _members[i].Followed.In(term) ?? long.MinValue : now;
        followed.Sort();
        long moment = followed[(_members.Length - 1) / 2];
        return moment > long.MinValue && Leads ? moment : null;
    }

    /// <summary>Begins to wait, again and again, until there was something to wait for.</summary>
    internal static async ValueTask WaitForOneAsync(Func<ValueTask> wait)
    {
        bool waited = false;
        while (!waited)
        {
            ValueTask round = wait();
            waited = !round.IsCompletedSuccessfully;
            await round.ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Who has heard of no leader for the shortest election time-out votes for another one (Raft dissertation, section 4.2.3). DotNext's member does not until the time-out is over that
    /// it has drawn itself: then the candidate that stood first, and may be the only one with all entries, has to wait for its time-out once more.
    /// </summary>
    /// <param name="isAsked">The leader itself wants another one.</param>
    private void ForgetLeader(bool isAsked)
    {
        if (isAsked || LastHeardOfLeader(this).Elapsed >= _options.ElectionTimeout)
            LastHeardOfLeader(this) = default;
    }

    /// <summary>When DotNext last began one, as a time stamp; 0: never.</summary>
    private long LastRound => _members.Max(static member => member.AskedAt);

    /// <summary>From now on one is due, if none was before.</summary>
    private void WantRound()
    {
        if (Volatile.Read(ref _wantedAt) <= LastRound)
            Volatile.Write(ref _wantedAt, _time.GetTimestamp());
    }

    private GroupMember MemberOn(long node) => Array.Find(_members, member => member.NodeId == node)
        ?? throw new ArgumentOutOfRangeException(nameof(node), node, "It is no node of this site.");

    private async Task ForceRoundAsync()
    {
        try
        {
            await ForceReplicationAsync(LifecycleToken).ConfigureAwait(false);
        }
        catch (Exception)
        {
            // No longer the leader, or stopping: then it is another's to tell.
        }
    }

    /// <summary>
    /// What a leader sends of entries that are cut here, it need not have sent: they are committed and applied. But this log knows no terms below its cut, so DotNext
    /// would find that the entry before the first is another one, and refuse for ever: behind a snapshot, say, that is newer than the leader's own cut.
    /// </summary>
    private AppendRequest BehindCut(in AppendRequest request)
    {
        (long cut, long cutTerm) = _entries.Cut;
        if (request.PreviousIndex >= cut)
            return request;
        int known = (int)Math.Min(cut - request.PreviousIndex, request.Entries.Length);
        // The entry at the cut is still compared if it was sent.
        long term = request.PreviousIndex + known == cut ? request.Entries[known - 1].Term : cutTerm;
        return request with { PreviousIndex = cut, PreviousTerm = term, Entries = request.Entries[known..] };
    }

    /// <summary>
    /// DotNext has no call for it. Its follower stands when the time-out ends that it was started with, unless a heartbeat comes before; so it is started again with a
    /// time-out that is shorter than any heartbeat's.
    /// </summary>
    private async Task StandAsync(CancellationToken token)
    {
        // Elected already, and not yet sure of it.
        if (Leader is { IsRemote: false })
            return;
        int usual = ElectionTimeoutMilliseconds(this);
        try
        {
            ElectionTimeoutMilliseconds(this) = (int)CampaignStart.TotalMilliseconds;
            if (await EnableStandbyModeAsync(token).ConfigureAwait(false))
                // Not to be cancelled: a node that stays in that mode never stands again.
                await RevertToNormalModeAsync(CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            // As a candidate it has the usual time to get the votes.
            ElectionTimeoutMilliseconds(this) = usual;
        }
    }

    // Both are private there; the package's version is pinned, and tests of the transfer fail when they are gone.
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "electionTimeout")]
    private static extern ref int ElectionTimeoutMilliseconds(RaftCluster<GroupMember> cluster);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "lastUpdated")]
    private static extern ref Timestamp LastHeardOfLeader(RaftCluster<GroupMember> cluster);

    private sealed class Configuration(GroupOptions options, bool standsFirst) : IClusterMemberConfiguration
    {
        /// <summary>In parts of the lower bound of the time-out; above 1, which DotNext does not mean it to be, and does not mind. DotNext begins a round by itself only when the host is late; what keeps the others from standing are the <see cref="Heartbeats"/>.</summary>
        public double HeartbeatThreshold { get; } = 1.25 * options.RoundInterval / Lower(options, standsFirst);

        public ElectionTimeout ElectionTimeout { get; } = new()
        {
            LowerValue = (int)Lower(options, standsFirst).TotalMilliseconds,
            UpperValue = (int)(standsFirst ? Lower(options, true) * 1.2 : options.MaxElectionTimeout).TotalMilliseconds,
        };

        public bool Standby => false;

        public bool AggressiveLeaderStickiness => true;

        /// <summary>
        /// A member that has so many rounds to answer counts as not there in those that follow, and is not sent them. At DotNext's 16 that is one which is behind by a few milliseconds;
        /// and when the other one of three, with which those rounds go on, falls silent in that moment, the round that runs waits for it, and no other begins: nothing is committed
        /// although two of three are there, until the leader gives up.
        /// </summary>
        public int MaxReplicationLag => 1024;

        /// <summary>Off: a lease trusts clocks. Linearizable reads confirm leadership instead.</summary>
        public bool IsLeaderLeaseEnabled => false;

        // A leader that lives is not disturbed by it: the others still wait their time before they vote for anybody.
        private static TimeSpan Lower(GroupOptions options, bool standsFirst) => standsFirst ? options.ElectionTimeout / 2 : options.ElectionTimeout;
    }
}
