using System.Diagnostics.CodeAnalysis;

namespace Regatta.Raft;

/// <summary>
/// Tells those who wait for a leader's answer that another node leads now: a leader that stands still, or cannot be reached, keeps its connection for long and
/// may never answer. Thread-safe.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "A source without a timer holds nothing, and whoever has just got its token may still link to it.")]
internal sealed class LeaderTenure
{
    private readonly Lock _gate = new();
    private long _leader;
    private CancellationTokenSource _over = new();

    /// <param name="leader">A node; 0: none is known, which takes the word from nobody.</param>
    public void Begin(long leader)
    {
        CancellationTokenSource over;
        lock (_gate)
        {
            if (leader == 0 || leader == _leader)
                return;
            _leader = leader;
            over = _over;
            _over = new CancellationTokenSource();
        }

        _ = over.CancelAsync();
    }

    /// <summary>Cancelled when another node leads than this one.</summary>
    public CancellationToken Over(long leader)
    {
        lock (_gate)
            return leader == _leader ? _over.Token : CancellationToken.None;
    }
}
