using System.Diagnostics.CodeAnalysis;

namespace Regatta.Raft;

/// <summary>
/// One question of a candidate to all members. DotNext counts the answers when all members have given theirs, so one node that hangs would take up the whole time that a candidate has, at
/// every election. Here a question is over when enough have answered that the others change nothing; those then count as unavailable. Thread-safe.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "A source without a timer that hands out its token only holds nothing to give back.")]
internal sealed class Ballot(int members)
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _decided = new();
    private readonly HashSet<long> _asked = [];
    private int _for;
    private int _against;

    /// <summary>Cancelled when the outcome is certain.</summary>
    public CancellationToken Decided => _decided.Token;

    /// <returns>False: the member was asked this question before, so another one has begun.</returns>
    public bool TryAsk(long nodeId)
    {
        lock (_gate)
            return _asked.Add(nodeId);
    }

    public void Count(bool isFor)
    {
        lock (_gate)
        {
            if (isFor)
                _for++;
            else
                _against++;
            int majority = (members / 2) + 1;
            if (_for < majority && _against <= members - majority)
                return;
        }

        _decided.Cancel();
    }
}

/// <summary>The questions of one kind that a node asks, one after the other. Thread-safe.</summary>
internal sealed class Ballots(int members)
{
    private readonly Lock _gate = new();
    private Ballot _current = new(members);

    /// <summary>The question that the member is about to be asked.</summary>
    public Ballot Ask(long nodeId)
    {
        lock (_gate)
        {
            if (!_current.TryAsk(nodeId))
            {
                _current = new Ballot(members);
                _current.TryAsk(nodeId);
            }

            return _current;
        }
    }
}
