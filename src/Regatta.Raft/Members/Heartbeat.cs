using DotNext.Net.Cluster.Consensus.Raft;

namespace Regatta.Raft;

/// <summary>A round without entries of one group, in the words of Raft: term, prevLogIndex, leaderCommit. prevLogTerm is the term: a leader has an entry of its own at the end of its log.</summary>
/// <param name="Last">The leader's last entry.</param>
internal readonly record struct Heartbeat(long Group, long Term, long Last, long Commit)
{
    private const int Fields = 4;

    public static byte[] Encode(IEnumerable<Heartbeat> beats) => RaftMessages.Numbers([.. beats.SelectMany(static beat => (long[])[beat.Group, beat.Term, beat.Last, beat.Commit])]);

    /// <exception cref="InvalidDataException">The message is malformed.</exception>
    public static Heartbeat[] Decode(ReadOnlyMemory<byte> message) =>
        [.. RaftMessages.DecodeRows(message, Fields).Select(static row => new Heartbeat(row[0], row[1], row[2], row[3]))];

    public AppendRequest ToRequest() => new(Term, Last, Term, Commit, []);
}

/// <param name="Term">The member's; 0: it says nothing, as the group does not run there, is stopping, or is at work.</param>
/// <param name="IsAccepted">It follows, and has the leader's last entry.</param>
internal readonly record struct HeartbeatReply(long Term, bool IsAccepted)
{
    private const int Fields = 2;

    public static HeartbeatReply Of(in AppendReply reply) => new(reply.Term, reply.Result != HeartbeatResult.Rejected);

    public static byte[] Encode(IEnumerable<HeartbeatReply> replies) => RaftMessages.Numbers([.. replies.SelectMany(static reply => (long[])[reply.Term, reply.IsAccepted ? 1 : 0])]);

    /// <exception cref="InvalidDataException">The message is malformed, or does not answer as much as was asked.</exception>
    public static HeartbeatReply[] Decode(ReadOnlyMemory<byte> message, int count)
    {
        HeartbeatReply[] replies = [.. RaftMessages.DecodeRows(message, Fields).Select(static row => new HeartbeatReply(row[0], row[1] == 1))];
        return replies.Length == count ? replies : throw new InvalidDataException($"A message between nodes answers {replies.Length} heartbeats, and there were {count}.");
    }
}
