namespace Regatta.Raft;

/// <summary>
/// A follower's commit index as the leader tells it apart from its rounds, see <see cref="CommitNotices"/>. What is committed in a term may be taken for committed here as far as this log is known to equal
/// that leader's; the two are learned in any order.
/// </summary>
internal sealed partial class EntryLog
{
    private Position _told;
    private Position _matched;

    /// <summary>The leader of that term has committed up to <paramref name="index"/>.</summary>
    public ValueTask OnToldAsync(long term, long index) => LearnAsync(ref _told, new Position(term, index));

    /// <summary>This log equals, up to <paramref name="index"/> and synced, what the leader of that term has.</summary>
    public ValueTask OnMatchedAsync(long term, long index) => LearnAsync(ref _matched, new Position(term, index));

    private ValueTask LearnAsync(ref Position known, Position news)
    {
        long end;
        long term;
        Task durable;
        lock (_gate)
        {
            if (news.CompareTo(known) > 0)
                known = news;
            end = Math.Min(_told.Index, _matched.Index);
            if (_told.Term != _matched.Term || _hard.Term != _matched.Term || end <= _commit)
                return default;
            term = TermAtCore(end);
            durable = DurableAtCore(end);
        }

        return FinishAsync(end, term, durable);
    }

    private async ValueTask FinishAsync(long end, long term, Task durable) => await CommitDurableAsync(end, term, durable, CancellationToken.None).ConfigureAwait(false);

    /// <summary>Up to where, in the eyes of the leader of a term. A later term counts more than a greater index.</summary>
    private readonly record struct Position(long Term, long Index)
    {
        public int CompareTo(Position other) => Term != other.Term ? Term.CompareTo(other.Term) : Index.CompareTo(other.Index);
    }
}
