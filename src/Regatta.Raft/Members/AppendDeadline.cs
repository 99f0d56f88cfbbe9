namespace Regatta.Raft;

/// <summary>
/// How long a leader waits for one member's answer to one message: for a member that is at work, on a slow disk say, up to <see cref="GroupOptions.AppendTimeout"/>;
/// for one of which nothing at all is heard, no longer than the others would wait for a leader. One for each member, used for message after message, without a source
/// and a timer for each of them. <see cref="Begin"/> and <see cref="TryEnd"/> are called in turn, from one thread at a time.
/// </summary>
internal sealed class AppendDeadline : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _over = new();
    private readonly IPeer _peer;
    private readonly GroupOptions _options;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private CancellationTokenRegistration _caller;
    private long _began;
    private bool _isRunning;
    private bool _isArmed;

    public AppendDeadline(IPeer peer, GroupOptions options, TimeProvider time)
    {
        (_peer, _options, _time) = (peer, options, time);
        _timer = time.CreateTimer(static state => ((AppendDeadline)state!).Look(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <param name="token">Its cancellation ends the wait, too.</param>
    /// <returns>Cancelled when the time is over.</returns>
    public CancellationToken Begin(CancellationToken token)
    {
        lock (_gate)
        {
            (_isRunning, _began) = (true, _time.GetTimestamp());
            // The timer that the message before has started rings early enough for this one.
            if (!_isArmed)
                Arm(Patience(_options));
        }

        _caller = token.UnsafeRegister(static over => ((CancellationTokenSource)over!).Cancel(), _over);
        return _over.Token;
    }

    /// <returns>Whether it may begin again; else it is spent.</returns>
    public bool TryEnd()
    {
        _caller.Dispose();
        lock (_gate)
        {
            _isRunning = false;
            return !_over.IsCancellationRequested;
        }
    }

    public void Dispose()
    {
        lock (_gate)
            _isRunning = false;
        _timer.Dispose();
        _over.Dispose();
    }

    /// <summary>For how long a member may be silent and is waited for all the same.</summary>
    public static TimeSpan Patience(GroupOptions options) => options.MaxElectionTimeout;

    private void Look()
    {
        lock (_gate)
        {
            _isArmed = false;
            if (!_isRunning)
                return;
            TimeSpan elapsed = _time.GetElapsedTime(_began);
            TimeSpan silence = _peer.Silence < elapsed ? _peer.Silence : elapsed;
            TimeSpan left = Patience(_options) - silence;
            if (_options.AppendTimeout - elapsed < left)
                left = _options.AppendTimeout - elapsed;
            if (left > TimeSpan.Zero)
                Arm(left);
            else
                _ = _over.CancelAsync(); // Cancelled now, so that nobody begins with it again; who is told is told later, without the lock.
        }
    }

    private void Arm(TimeSpan left) => _isArmed = _timer.Change(left, Timeout.InfiniteTimeSpan);
}
