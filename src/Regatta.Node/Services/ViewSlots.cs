using Grpc.Core;

namespace Regatta.Node;

/// <summary>Bounds how many calls of a kind hold a view of a table open, and knows when none does. Thread-safe.</summary>
/// <param name="most">At a time.</param>
/// <param name="calls">What they are, for the sentence of a refusal.</param>
internal sealed class ViewSlots(int most, string calls)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _idle = Completed();
    private int _taken;

    /// <summary>Calls that hold a view now.</summary>
    public int Taken => Volatile.Read(ref _taken);

    /// <summary>Completes when no view is open.</summary>
    public Task IdleAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
            return _idle.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Disposed when the view is.</summary>
    /// <exception cref="RpcException">All are taken.</exception>
    public IDisposable Take()
    {
        lock (_gate)
        {
            if (_taken < most)
            {
                if (_taken++ == 0)
                    _idle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                return new Slot(this);
            }
        }
        throw new RpcException(new Status(
            StatusCode.ResourceExhausted, $"{most} {calls} calls are running on this node, which is its limit; try again when one has ended"));
    }

    private static TaskCompletionSource Completed()
    {
        TaskCompletionSource completed = new();
        completed.SetResult();
        return completed;
    }

    private void Leave()
    {
        lock (_gate)
        {
            if (--_taken == 0)
                _idle.SetResult();
        }
    }

    private sealed class Slot(ViewSlots slots) : IDisposable
    {
        private ViewSlots? _slots = slots;

        public void Dispose() => Interlocked.Exchange(ref _slots, null)?.Leave();
    }
}
