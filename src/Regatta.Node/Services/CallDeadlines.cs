using System.Collections.Concurrent;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>Hands out <see cref="CallDeadline"/>s and takes them back: a timer and a token source less for each call. Thread-safe.</summary>
internal sealed class CallDeadlines(TimeSpan defaultDeadline, TimeProvider time)
{
    // More than calls usually overlap; what comes back beyond that is left to the collector.
    private const int Kept = 1024;

    private readonly ConcurrentQueue<CallDeadline> _free = new();
    private int _count;

    public CallDeadline Start(ServerCallContext context)
    {
        if (_free.TryDequeue(out CallDeadline? deadline))
            Interlocked.Decrement(ref _count);
        else
            deadline = new CallDeadline(this);
        DateTime asked = context.Deadline;
        TimeSpan? remaining = asked == DateTime.MaxValue ? null : asked - time.GetUtcNow().UtcDateTime;
        deadline.Start(context, remaining, defaultDeadline);
        return deadline;
    }

    internal void Return(CallDeadline deadline)
    {
        if (Interlocked.Increment(ref _count) <= Kept)
            _free.Enqueue(deadline);
        else
            Interlocked.Decrement(ref _count);
    }
}
