namespace Regatta.Raft;

/// <summary>
/// The node's way to stop on a failure after which nothing may be acknowledged: a failed write or sync of the log, a table's database that
/// cannot be written. The first cause wins and stays. Thread-safe.
/// </summary>
internal sealed class FailStop : IDisposable
{
    private readonly TaskCompletionSource<string> _failure = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private volatile string? _cause;

    public FailStop() => Token = _stop.Token;

    /// <summary>Completes with a sentence for the operator; never otherwise.</summary>
    public Task<string> Failure => _failure.Task;

    /// <summary>Cancelled on failure, for those who wait for something that will not come any more.</summary>
    public CancellationToken Token { get; }

    /// <summary>Null while all is well. A plain read: asked before every write.</summary>
    public string? Cause => _cause;

    public void Trigger(string cause)
    {
        lock (_failure)
        {
            if (_cause is not null)
                return;
            _cause = cause;
        }

        _failure.SetResult(cause);
        // Those who wait are told on another thread: the caller is the log's writer or an applier and holds locks of its own.
        ThreadPool.UnsafeQueueUserWorkItem(static self => self.Cancel(), this, preferLocal: false);
    }

    public void Dispose()
    {
        lock (_stop)
            _stop.Dispose();
    }

    private void Cancel()
    {
        lock (_stop)
        {
            try
            {
                _stop.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // The host was closed in between: nobody waits any more.
            }
        }
    }
}
