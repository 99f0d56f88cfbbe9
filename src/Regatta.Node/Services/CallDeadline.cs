using Grpc.Core;

namespace Regatta.Node;

/// <summary>
/// How long one call may take: cancelled a little before the client's deadline (or the node's default one), so that the client
/// still gets the sentence that says what became of its request, and at once when the client goes away. Pooled; owned by one call at a time.
/// </summary>
internal sealed class CallDeadline : IDisposable
{
    private static readonly TimeSpan LargestMargin = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestTimer = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    private readonly CallDeadlines _pool;
    private CancellationTokenSource _source = new();
    private CancellationTokenRegistration _caller;
    private volatile bool _callerIsGone;

    internal CallDeadline(CallDeadlines pool) => _pool = pool;

    public CancellationToken Token => _source.Token;

    /// <summary>The client cancelled or its connection broke, before the deadline.</summary>
    public bool CallerIsGone => _callerIsGone;

    /// <summary>The status of a call that was cut short.</summary>
    /// <param name="fate">What became of the request, as a sentence.</param>
    public RpcException Expired(string fate) => _callerIsGone
        ? new RpcException(new Status(StatusCode.Cancelled, "the call was cancelled: " + fate))
        : new RpcException(new Status(StatusCode.DeadlineExceeded, "the deadline passed: " + fate));

    public void Dispose()
    {
        // Waits for a callback that is running: none can reach the next owner.
        _caller.Dispose();
        _caller = default;
        if (!_source.TryReset())
        {
            _source.Dispose();
            _source = new CancellationTokenSource();
        }
        _callerIsGone = false;
        _pool.Return(this);
    }

    internal void Start(ServerCallContext context, TimeSpan? remaining, TimeSpan defaultDeadline)
    {
        CancellationToken caller = context.CancellationToken;
        if (caller.CanBeCanceled)
            _caller = caller.UnsafeRegister(static state => ((CallDeadline)state!).OnCallerGone(), this);
        TimeSpan allowed = remaining is { } left ? left - Margin(left) : defaultDeadline;
        if (allowed <= TimeSpan.Zero)
            _source.Cancel();
        else if (allowed < LongestTimer)
            _source.CancelAfter(allowed);
    }

    private static TimeSpan Margin(TimeSpan remaining) => remaining / 10 < LargestMargin ? remaining / 10 : LargestMargin;

    private void OnCallerGone()
    {
        if (_source.IsCancellationRequested)
            return;
        _callerIsGone = true;
        _source.Cancel();
    }
}
