namespace Regatta.Node;

/// <summary>A number that only grows, and those who wait for it to reach theirs. Thread-safe.</summary>
internal sealed class RevisionSignal
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _reached;
    private bool _isClosed;

    /// <summary>The greatest number so far.</summary>
    public long Reached => Volatile.Read(ref _reached);

    public void Set(long revision) => Tell(revision, isLast: false);

    /// <summary>It does not grow any more.</summary>
    public void Close() => Tell(0, isLast: true);

    /// <exception cref="ObjectDisposedException">It has not reached the revision, and will not.</exception>
    public async Task WaitAsync(long revision, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task next;
            lock (_gate)
            {
                if (_reached >= revision)
                    return;
                ObjectDisposedException.ThrowIf(_isClosed, this);
                next = _next.Task;
            }
            await next.WaitAsync(cancellationToken);
        }
    }

    private void Tell(long revision, bool isLast)
    {
        TaskCompletionSource next;
        lock (_gate)
        {
            _reached = Math.Max(_reached, revision);
            _isClosed |= isLast;
            next = _next;
            _next = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        next.SetResult();
    }
}
