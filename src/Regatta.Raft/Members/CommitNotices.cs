namespace Regatta.Raft;

/// <summary>
/// Tells the other nodes what is committed in the groups that this node leads, so that they apply it at once and not with the next entry or heartbeat. One small message for all groups that have news, one
/// at a time to each node: the busier the site, the more it says. A notice that is lost is made good by the next heartbeat. Thread-safe.
/// </summary>
internal sealed class CommitNotices
{
    private readonly Courier[] _couriers;

    /// <param name="timeout">After which an unanswered message does not hold up the next.</param>
    public CommitNotices(SiteMembers members, TimeSpan timeout, TimeProvider time)
    {
        _couriers = members.IsAlone ? [] : [.. members.Ids.Select(members.Peer).OfType<IPeer>().Select(peer => new Courier(peer, timeout, time))];
    }

    public void Tell(CommitNotice notice)
    {
        foreach (Courier courier in _couriers)
            courier.Add(notice);
    }

    /// <summary>Hands the notices of another node to the logs that they concern.</summary>
    /// <param name="find">Null: that group does not run here.</param>
    /// <exception cref="InvalidDataException">The bytes are malformed; nothing was changed.</exception>
    public static async ValueTask ReceiveAsync(ReadOnlyMemory<byte> message, Func<long, EntryLog?> find)
    {
        foreach (CommitNotice notice in Decode(message))
        {
            if (find(notice.Group) is { } log)
                await log.OnToldAsync(notice.Term, notice.Index).ConfigureAwait(false);
        }
    }

    internal static byte[] Encode(IReadOnlyCollection<CommitNotice> notices)
    {
        long[] numbers = new long[3 * notices.Count];
        int count = 0;
        foreach (CommitNotice notice in notices)
        {
            numbers[count++] = notice.Group;
            numbers[count++] = notice.Term;
            numbers[count++] = notice.Index;
        }

        return RaftMessages.Numbers(numbers);
    }

    private static CommitNotice[] Decode(ReadOnlyMemory<byte> message) =>
        [.. RaftMessages.DecodeRows(message, 3).Select(static row => new CommitNotice(row[0], row[1], row[2]))];

    /// <summary>What one node has not been told yet.</summary>
    private sealed class Courier(IPeer peer, TimeSpan timeout, TimeProvider time) : IThreadPoolWorkItem
    {
        private readonly Lock _gate = new();
        private readonly Dictionary<long, CommitNotice> _news = [];
        private bool _isOnTheWay;

        public void Add(CommitNotice notice)
        {
            lock (_gate)
            {
                _news[notice.Group] = notice;
                if (_isOnTheWay)
                    return;
                _isOnTheWay = true;
            }

            // Behind what is queued now: that may be more news.
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        void IThreadPoolWorkItem.Execute() => _ = DeliverAsync();

        private async Task DeliverAsync()
        {
            while (Take() is { } message)
            {
                using CancellationTokenSource deadline = new(timeout, time);
                try
                {
                    await peer.CallAsync(0, PeerMethod.Commits, message, deadline.Token).ConfigureAwait(false);
                }
                catch (Exception e) when (e is PeerUnavailableException or PeerCallException or OperationCanceledException)
                {
                    // Heartbeats say it, too.
                }
            }
        }

        private byte[]? Take()
        {
            lock (_gate)
            {
                _isOnTheWay = _news.Count > 0;
                if (!_isOnTheWay)
                    return null;
                byte[] message = Encode(_news.Values);
                _news.Clear();
                return message;
            }
        }
    }
}

/// <param name="Term">In which the sender leads.</param>
internal readonly record struct CommitNotice(long Group, long Term, long Index);
