namespace Regatta.Raft;

/// <summary>
/// How far the table's state has come on this node, and who waits for it to come further: by Raft index (DotNext, barriers) or by table revision
/// (readers). Advanced by the applier alone; thread-safe. The number of waiters is bounded by the requests that the node lets in.
/// </summary>
internal sealed class AppliedProgress
{
    private readonly Lock _gate = new();
    private readonly PriorityQueue<TaskCompletionSource, long> _byIndex = new();
    private readonly PriorityQueue<TaskCompletionSource, long> _byRevision = new();
    private readonly List<TaskCompletionSource> _due = [];
    private long _index;
    private long _revision;
    private Exception? _failure;

    public AppliedProgress(long index, long revision) => (_index, _revision) = (index, revision);

    /// <summary>Entries up to this one are applied and visible to readers.</summary>
    public long Index => Volatile.Read(ref _index);

    /// <summary>Completes when the entry at <paramref name="index"/> is applied.</summary>
    public ValueTask WaitForIndexAsync(long index, CancellationToken cancellationToken) =>
        Index >= index ? default : new ValueTask(WaitAsync(_byIndex, index, byIndex: true, cancellationToken));

    /// <summary>Completes with the next entry that is applied.</summary>
    public ValueTask WaitForNextAsync(CancellationToken cancellationToken) => WaitForIndexAsync(Index + 1, cancellationToken);

    /// <summary>Completes when readers see at least <paramref name="revision"/>.</summary>
    public ValueTask WaitForRevisionAsync(long revision, CancellationToken cancellationToken) =>
        Volatile.Read(ref _revision) >= revision ? default : new ValueTask(WaitAsync(_byRevision, revision, byIndex: false, cancellationToken));

    public void Advance(long index, long revision)
    {
        lock (_gate)
        {
            Volatile.Write(ref _revision, revision);
            Volatile.Write(ref _index, index);
            TakeDue(_byIndex, index);
            TakeDue(_byRevision, revision);
        }

        // One applier at a time: the list is its own.
        foreach (TaskCompletionSource waiter in _due)
            waiter.TrySetResult();
        _due.Clear();
    }

    /// <summary>Nothing will be applied any more: whoever waits or comes to wait gets <paramref name="failure"/>.</summary>
    public void Fail(Exception failure)
    {
        List<TaskCompletionSource> waiters = [];
        lock (_gate)
        {
            if (_failure is not null)
                return;
            _failure = failure;
            waiters.AddRange(_byIndex.UnorderedItems.Select(item => item.Element));
            waiters.AddRange(_byRevision.UnorderedItems.Select(item => item.Element));
            _byIndex.Clear();
            _byRevision.Clear();
        }

        foreach (TaskCompletionSource waiter in waiters)
            waiter.TrySetException(failure);
    }

    private async Task WaitAsync(PriorityQueue<TaskCompletionSource, long> queue, long target, bool byIndex, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        TaskCompletionSource waiter = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if ((byIndex ? _index : _revision) >= target)
                return;
            if (_failure is not null)
                throw _failure;
            queue.Enqueue(waiter, target);
        }

        await using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(_ => Cancel(queue, waiter, cancellationToken), null);
        await waiter.Task.ConfigureAwait(false);
    }

    private void Cancel(PriorityQueue<TaskCompletionSource, long> queue, TaskCompletionSource waiter, CancellationToken cancellationToken)
    {
        lock (_gate)
            queue.Remove(waiter, out _, out _);
        waiter.TrySetCanceled(cancellationToken);
    }

    private void TakeDue(PriorityQueue<TaskCompletionSource, long> queue, long reached)
    {
        while (queue.TryPeek(out TaskCompletionSource? waiter, out long target) && target <= reached)
        {
            queue.Dequeue();
            _due.Add(waiter);
        }
    }
}
