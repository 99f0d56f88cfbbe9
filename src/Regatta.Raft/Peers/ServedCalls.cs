namespace Regatta.Raft;

/// <summary>Counts the calls of other nodes that this one is serving, so that a network that closes can wait for the last of them. Thread-safe.</summary>
internal sealed class ServedCalls
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>One for the network itself, until it closes.</summary>
    private long _count = 1;

    public void Enter() => Interlocked.Increment(ref _count);

    public void Leave()
    {
        if (Interlocked.Decrement(ref _count) == 0)
            _ended.TrySetResult();
    }

    /// <summary>Once, after the last connection has gone: completes with the last call.</summary>
    public Task EndAsync()
    {
        Leave();
        return _ended.Task;
    }
}
