namespace Regatta.Raft;

/// <summary>
/// A token that is cancelled when a time is over, or another token is. A timer may ring while its owner, who has just got what he waited for, puts it away; a callback that then cancels a
/// source that is disposed of throws where nobody catches it, and the process ends. So there are no such timers but in here. Thread-safe.
/// </summary>
public sealed class TimeLimit : IDisposable
{
    private readonly CancellationTokenSource _over;
    private readonly CancellationTokenSource _any;

    /// <param name="duration">From now on.</param>
    public TimeLimit(TimeSpan duration, TimeProvider time, params ReadOnlySpan<CancellationToken> others)
    {
        // Its own timer, unlike one that calls Cancel, may ring when it is disposed of.
        _over = new CancellationTokenSource(duration, time);
        _any = CancellationTokenSource.CreateLinkedTokenSource([_over.Token, .. others]);
    }

    public CancellationToken Token => _any.Token;

    public void Dispose()
    {
        _any.Dispose();
        _over.Dispose();
    }
}
