namespace Regatta.Node;

/// <summary>A number that only grows, and those who wait for it to reach theirs. Thread-safe.</summary>
internal sealed class RevisionSignal
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _reached;

    /// <summary>The greatest number so far.</summary>
    public long Reached => Volatile.Read(ref _reached);

    public void Set(long revision)
    {
        TaskCompletionSource reached;
        lock (_gate)
        {
            _reached = Math.Max(_reached, revision);
            reached = _next;
            _next = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        reached.SetResult();
    }

    public async Task WaitAsync(long revision, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task next;
            lock (_gate)
            {
                if (_reached >= revision)
                    return;
                next = _next.Task;
            }
            await next.WaitAsync(cancellationToken);
        }
    }
}
