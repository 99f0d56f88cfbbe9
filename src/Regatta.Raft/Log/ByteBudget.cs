namespace Regatta.Raft;

/// <summary>
/// A bounded number of bytes, taken in the order of asking. One request larger than the whole budget is let through when nothing else is
/// taken, else it could never be served. Thread-safe.
/// </summary>
internal sealed class ByteBudget(long limit)
{
    private readonly Lock _gate = new();
    private readonly LinkedList<Waiter> _waiters = new();
    private long _taken;

    public long Taken => Volatile.Read(ref _taken);

    /// <summary>Completes when the bytes are taken; the taker gives them back with <see cref="Release"/>.</summary>
    public ValueTask TakeAsync(long bytes, CancellationToken cancellationToken)
    {
        Waiter waiter;
        lock (_gate)
        {
            if (_waiters.Count == 0 && Fits(bytes))
            {
                _taken += bytes;
                return default;
            }

            waiter = new Waiter(bytes);
            _waiters.AddLast(waiter);
        }

        return new ValueTask(AwaitAsync(waiter, cancellationToken));
    }

    public void Release(long bytes)
    {
        lock (_gate)
        {
            _taken -= bytes;
            Grant();
        }
    }

    private async Task AwaitAsync(Waiter waiter, CancellationToken cancellationToken)
    {
        await using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(_ => Cancel(waiter, cancellationToken), null);
        await waiter.Completion.Task.ConfigureAwait(false);
    }

    private void Cancel(Waiter waiter, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            // Granted in the meantime: the bytes are the caller's and it will give them back.
            if (!_waiters.Remove(waiter))
                return;
            Grant();
        }

        waiter.Completion.TrySetCanceled(cancellationToken);
    }

    private void Grant()
    {
        while (_waiters.First is { } first && Fits(first.Value.Bytes))
        {
            _taken += first.Value.Bytes;
            _waiters.RemoveFirst();
            first.Value.Completion.TrySetResult();
        }
    }

    private bool Fits(long bytes) => _taken == 0 || _taken + bytes <= limit;

    private sealed class Waiter(long bytes)
    {
        public long Bytes { get; } = bytes;

        public TaskCompletionSource Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
