namespace Regatta.Raft;

/// <summary>Until when a member certainly followed a leader: it has answered in the leader's term, and what it answered was sent then. Thread-safe.</summary>
internal sealed class FollowingMark
{
    private readonly Lock _gate = new();
    private long _term;
    private long _sentAt;

    /// <param name="term">The leader's, and the answer's.</param>
    /// <param name="sentAt">A time stamp from before the message was sent.</param>
    public void Note(long term, long sentAt)
    {
        lock (_gate)
        {
            if (term > _term || (term == _term && sentAt > _sentAt))
                (_term, _sentAt) = (term, sentAt);
        }
    }

    /// <summary>The latest such moment in a term; null: there was none, or a later leader has been followed.</summary>
    public long? In(long term)
    {
        lock (_gate)
            return _term == term ? _sentAt : null;
    }
}
