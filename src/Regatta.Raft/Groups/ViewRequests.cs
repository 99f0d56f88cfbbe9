using Regatta.Core;

namespace Regatta.Raft;

/// <summary>
/// Who waits for a view of the table at the end of the first entry that ends at some revision or behind it. The applier ends a step there, whatever else is
/// committed, and a step ends with an entry in any case: no state on disk is in the middle of one. The waiters are bounded by the requests that the node
/// lets in. <see cref="OpenAsync"/>, <see cref="Shorten"/> and <see cref="Serve"/> are not to run at the same time; all else may be called from any thread.
/// </summary>
internal sealed class ViewRequests(ITableStore store)
{
    private readonly Lock _gate = new();
    private readonly PriorityQueue<TaskCompletionSource<ExactView?>, long> _waiting = new();
    private int _count;
    private Exception? _failure;

    /// <summary>Somebody waits. A volatile read, for every step of the applier.</summary>
    public bool Any => Volatile.Read(ref _count) > 0;

    /// <summary>Its part up to the first wait must run between two steps: only then is it known that no step passes the revision meanwhile.</summary>
    /// <returns>Null: the table has passed the moment. Else the caller's to dispose.</returns>
    public async ValueTask<ExactView?> OpenAsync(long revision, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        long applied = store.Applied.Revision;
        if (applied > revision)
            return null;
        TaskCompletionSource<ExactView?> waiter = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_failure is not null)
                throw _failure;
            if (applied < revision)
            {
                _waiting.Enqueue(waiter, revision);
                Volatile.Write(ref _count, _waiting.Count);
            }
        }

        if (applied == revision)
            Open(waiter);
        await using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(_ => Cancel(waiter, cancellationToken), null);
        return await waiter.Task.ConfigureAwait(false);
    }

    /// <summary>Takes away what lies behind the next moment that somebody waits for.</summary>
    /// <param name="entries">Those behind the applied one, in order.</param>
    /// <exception cref="InvalidDataException">An entry is garbled.</exception>
    public void Shorten(List<StoredEntry> entries)
    {
        long due;
        lock (_gate)
        {
            if (!_waiting.TryPeek(out _, out due))
                return;
        }

        long revision = store.Applied.Revision;
        for (int i = 0; i < entries.Count; i++)
        {
            if (!entries[i].IsConfiguration)
                revision = new EntryReader(entries[i].Payload).RevisionBehind(store.Applied.Incarnation, revision);
            if (revision >= due)
            {
                entries.RemoveRange(i + 1, entries.Count - i - 1);
                return;
            }
        }
    }

    /// <summary>After a step that was shortened: gives their views to those whose moment it is.</summary>
    public void Serve()
    {
        while (TakeDue(store.Applied.Revision) is { } waiter)
            Open(waiter);
    }

    /// <summary>Nothing will be applied any more: whoever waits or comes to wait gets <paramref name="failure"/>.</summary>
    public void Fail(Exception failure)
    {
        TaskCompletionSource<ExactView?>[] waiters;
        lock (_gate)
        {
            _failure ??= failure;
            waiters = [.. _waiting.UnorderedItems.Select(static item => item.Element)];
            _waiting.Clear();
            Volatile.Write(ref _count, 0);
        }

        foreach (TaskCompletionSource<ExactView?> waiter in waiters)
            waiter.TrySetException(failure);
    }

    private TaskCompletionSource<ExactView?>? TakeDue(long reached)
    {
        lock (_gate)
        {
            if (!_waiting.TryPeek(out TaskCompletionSource<ExactView?>? waiter, out long due) || due > reached)
                return null;
            _waiting.Dequeue();
            Volatile.Write(ref _count, _waiting.Count);
            return waiter;
        }
    }

    private void Open(TaskCompletionSource<ExactView?> waiter)
    {
        try
        {
            ExactView view = new(store.OpenView(), store.Applied.Chain);
            // Cancelled in between: nobody else would release it.
            if (!waiter.TrySetResult(view))
                view.Dispose();
        }
        catch (Exception e)
        {
            waiter.TrySetException(e);
        }
    }

    private void Cancel(TaskCompletionSource<ExactView?> waiter, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            _waiting.Remove(waiter, out _, out _);
            Volatile.Write(ref _count, _waiting.Count);
        }

        waiter.TrySetCanceled(cancellationToken);
    }
}
