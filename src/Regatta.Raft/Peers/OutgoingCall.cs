namespace Regatta.Raft;

/// <summary>A call that waits for its reply: the task is its caller's. All else is guarded by the lock of its <see cref="Outbox"/>.</summary>
internal sealed class OutgoingCall : TaskCompletionSource<ReadOnlyMemory<byte>>
{
    private readonly Outbox _outbox;
    private CancellationTokenRegistration _cancellation;

    public OutgoingCall(Outbox outbox, uint id, long group, PeerMethod method, ReadOnlyMemory<byte> request)
        : base(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        _outbox = outbox;
        Id = id;
        Cost = PeerNetworkOptions.CostOf(request.Length);
        Message = new OutgoingMessage(FrameKind.Request, group, id, method, request, this);
    }

    public uint Id { get; }

    /// <summary>What it counts against its group's limit.</summary>
    public long Cost { get; }

    public OutgoingMessage Message { get; }

    /// <summary>While it waits until its group may send more.</summary>
    public LinkedListNode<OutgoingCall>? Place { get; set; }

    /// <summary>The last frame was handed to the connection: the other node may act on it.</summary>
    public bool WasSent { get; set; }

    /// <summary>The caller has its outcome, or is about to get it.</summary>
    public bool IsSettled { get; private set; }

    public void Watch(CancellationToken cancellationToken)
    {
        if (cancellationToken.CanBeCanceled)
            _cancellation = cancellationToken.UnsafeRegister(static (call, token) => ((OutgoingCall)call!).Cancel(token), this);
    }

    /// <summary>Whoever gets true, and nobody else, completes the task, after the lock.</summary>
    public bool TrySettle()
    {
        if (IsSettled)
            return false;
        IsSettled = true;
        _cancellation.Unregister();
        return true;
    }

    private void Cancel(CancellationToken cancellationToken) => _outbox.Cancel(this, cancellationToken);
}
