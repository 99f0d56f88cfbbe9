namespace Regatta.Raft;

/// <summary>
/// Tells the other nodes that this one leads: one message to each for all groups that have nothing to say to it, and one answer. To the other node an entry of it is what a round of the group without entries
/// would be, at a tenth of the cost. Thread-safe; there is one round at a time.
/// </summary>
internal sealed class Heartbeats
{
    private readonly Courier[] _couriers;
    private readonly Func<IEnumerable<TableGroup>> _groups;
    private readonly TimeProvider _time;

    /// <param name="groups">All of this node.</param>
    /// <param name="timeout">After which an answer is not waited for any longer.</param>
    public Heartbeats(SiteMembers members, Func<IEnumerable<TableGroup>> groups, TimeSpan timeout, TimeProvider time)
    {
        (_groups, _time) = (groups, time);
        _couriers = members.IsAlone ? [] : [.. members.Ids.Select(members.Peer).OfType<IPeer>().Select(peer => new Courier(peer, timeout, time))];
    }

    /// <summary>It is time again; answers are taken in as they come.</summary>
    public void Beat()
    {
        long now = _time.GetTimestamp();
        TableGroup[] led = [.. _groups().Where(group => group.Tend(now))];
        foreach (Courier courier in _couriers)
            courier.Beat(led, now);
    }

    /// <summary>Hands another node's heartbeats to the groups that they concern.</summary>
    /// <param name="find">Null: that group does not run here.</param>
    /// <param name="patience">A group that takes longer is left out of the answer: it must not hold up the others.</param>
    /// <returns>The answer.</returns>
    /// <exception cref="InvalidDataException">The bytes are malformed; nothing was changed.</exception>
    public static async ValueTask<ReadOnlyMemory<byte>> ReceiveAsync(
        long from, ReadOnlyMemory<byte> message, Func<long, TableGroup?> find, TimeSpan patience, TimeProvider time, CancellationToken token)
    {
        Heartbeat[] beats = Heartbeat.Decode(message);
        HeartbeatReply[] replies = new HeartbeatReply[beats.Length];
        Task[] answers = [.. beats.Select((beat, i) => AnswerAsync(from, beat, find(beat.Group), replies, i, token))];
        Task all = Task.WhenAll(answers);
        if (!all.IsCompleted)
            await all.WaitAsync(patience, time, token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return HeartbeatReply.Encode(answers.Select((answer, i) => answer.IsCompleted ? replies[i] : default));
    }

    private static async Task AnswerAsync(long from, Heartbeat beat, TableGroup? group, HeartbeatReply[] replies, int place, CancellationToken token)
    {
        try
        {
            if (group is not null)
                replies[place] = await group.Endpoint.OnBeatAsync(from, beat, token).ConfigureAwait(false);
        }
        catch (Exception)
        {
            // It is stopping or broken, and says nothing. Others go on.
        }
    }

    /// <summary>What is on its way to one node.</summary>
    private sealed class Courier(IPeer peer, TimeSpan timeout, TimeProvider time)
    {
        /// <summary>A node that stands still is not told again and again; it finds what was sent when it goes on.</summary>
        private const int MostUnanswered = 3;

        private int _unanswered;

        public void Beat(TableGroup[] led, long now)
        {
            if (!peer.IsConnected || Volatile.Read(ref _unanswered) >= MostUnanswered)
                return;
            List<(TableGroup Group, Heartbeat Beat)> beats = [];
            foreach (TableGroup group in led)
            {
                if (group.HeartbeatFor(peer.NodeId, now) is { } beat)
                    beats.Add((group, beat));
            }

            if (beats.Count > 0)
                _ = DeliverAsync(beats, now);
        }

        private async Task DeliverAsync(List<(TableGroup Group, Heartbeat Beat)> beats, long sentAt)
        {
            Interlocked.Increment(ref _unanswered);
            using CancellationTokenSource deadline = new(timeout, time);
            try
            {
                ReadOnlyMemory<byte> answer = await peer.CallAsync(0, PeerMethod.Beats, Heartbeat.Encode(beats.Select(static one => one.Beat)), deadline.Token).ConfigureAwait(false);
                HeartbeatReply[] replies = HeartbeatReply.Decode(answer, beats.Count);
                for (int i = 0; i < replies.Length; i++)
                    beats[i].Group.OnHeartbeatReply(peer.NodeId, beats[i].Beat, replies[i], sentAt);
            }
            catch (Exception e) when (e is PeerUnavailableException or PeerCallException or OperationCanceledException or InvalidDataException)
            {
                // The groups' own rounds find out.
            }
            finally
            {
                Interlocked.Decrement(ref _unanswered);
            }
        }
    }
}
