using System.Buffers;
using System.Text;

namespace Regatta.Raft;

/// <summary>
/// What is on its way to the other side of one connection: calls until their replies come, replies until they are written. One lock guards all of it,
/// also while a frame is copied out, so that a cancelled caller never has its buffer read. Thread-safe; one writer takes the frames.
/// </summary>
internal sealed class Outbox(long nodeId, PeerNetworkOptions options)
{
    /// <summary>Idle groups are remembered up to here.</summary>
    private const int GroupsKept = 1024;

    private readonly Lock _gate = new();
    private readonly FrameRound _round = new(options.FrameBytes);
    private readonly Dictionary<long, CallAdmission> _admissions = [];
    private readonly Dictionary<uint, OutgoingCall> _calls = [];
    private TaskCompletionSource? _sleeper;
    private uint _lastId;
    private string? _closed;

    /// <summary>Calls that have no outcome yet, and cancelled ones whose late reply has not come.</summary>
    public int CallsUnderWay
    {
        get
        {
            lock (_gate)
                return _calls.Count;
        }
    }

    /// <summary>Calls of a group that wait because the group has too much under way.</summary>
    public int Waiting(long group)
    {
        lock (_gate)
            return _admissions.GetValueOrDefault(group)?.Waiting ?? 0;
    }

    public Task<ReadOnlyMemory<byte>> CallAsync(long group, PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(request.Length, options.MaxMessageBytes, nameof(request));
        if (cancellationToken.IsCancellationRequested)
            return Task.FromCanceled<ReadOnlyMemory<byte>>(cancellationToken);
        OutgoingCall call;
        TaskCompletionSource? wake;
        lock (_gate)
        {
            if (_closed is not null)
                return Unavailable(nodeId, _closed);
            call = new OutgoingCall(this, UnusedId(), group, method, request);
            _calls.Add(call.Id, call);
            if (AdmissionOf(group).Enter(call))
                _round.Add(call.Message);
            wake = TakeWake();
            call.Watch(cancellationToken);
        }

        wake?.SetResult();
        return call.Task;
    }

    /// <summary>The outcome of a call for which there is no connection.</summary>
    public static Task<ReadOnlyMemory<byte>> Unavailable(long nodeId, string reason)
    {
        RaftMetrics.PeerCallsFailed.Add(1);
        return Task.FromException<ReadOnlyMemory<byte>>(new PeerUnavailableException(nodeId, wasSent: false, reason));
    }

    /// <summary>
    /// What was sent goes on counting against the group's limit until the late reply comes: the other side still works on it.
    /// </summary>
    public void Cancel(OutgoingCall call, CancellationToken cancellationToken)
    {
        TaskCompletionSource? wake = null;
        lock (_gate)
        {
            if (!call.TrySettle())
                return;
            CallAdmission admission = AdmissionOf(call.Message.Group);
            call.Message.Abandon();
            if (admission.Withdraw(call))
            {
                _calls.Remove(call.Id);
                Admit(admission);
                wake = TakeWake();
            }
        }

        wake?.SetResult();
        RaftMetrics.PeerCallsFailed.Add(1);
        call.TrySetCanceled(cancellationToken);
    }

    /// <summary>Sends a reply; dropped when the connection is down. As many can be queued as the other side may have requests unanswered.</summary>
    public void Reply(FrameKind kind, long group, uint id, PeerMethod method, ReadOnlyMemory<byte> body)
    {
        TaskCompletionSource? wake;
        lock (_gate)
        {
            if (_closed is not null)
                return;
            _round.Add(new OutgoingMessage(kind, group, id, method, body, call: null));
            wake = TakeWake();
        }

        wake?.SetResult();
    }

    /// <summary>Asks for a sign of life, or gives one.</summary>
    public void SignOfLife(FrameKind kind)
    {
        TaskCompletionSource? wake;
        lock (_gate)
        {
            if (kind == FrameKind.Ping)
                _round.AddPing();
            else
                _round.AddPong();
            wake = TakeWake();
        }

        wake?.SetResult();
    }

    /// <summary>Whether a reply with this number can come.</summary>
    public bool Expects(long group, uint id)
    {
        lock (_gate)
            return _closed is not null || (_calls.TryGetValue(id, out OutgoingCall? call) && call.WasSent && call.Message.Group == group);
    }

    /// <summary>A whole reply has come, one that was expected.</summary>
    public void Complete(uint id, FrameKind kind, byte[] reply)
    {
        OutgoingCall? call;
        bool isWanted;
        TaskCompletionSource? wake;
        lock (_gate)
        {
            if (!_calls.Remove(id, out call))
                return;
            isWanted = call.TrySettle();
            Release(call);
            wake = TakeWake();
        }

        wake?.SetResult();
        if (!isWanted)
            return;
        if (kind == FrameKind.Reply)
            call.TrySetResult(reply);
        else
            Fail(call, new PeerCallException(Encoding.UTF8.GetString(reply)));
    }

    /// <summary>Writes the next frame, if there is one.</summary>
    /// <param name="ready">When there is none: completes when there is.</param>
    public bool TryWrite(IBufferWriter<byte> output, out int bytes, out Task ready)
    {
        bytes = 0;
        ready = Task.CompletedTask;
        lock (_gate)
        {
            // Once closed nothing is read any more: the buffers are their owners' again.
            while (_closed is null && bytes == 0)
            {
                bytes = _round.Write(output, out OutgoingMessage? ended);
                if (ended?.Call is { } call)
                    Written(call, isWhole: !call.IsSettled);
                if (bytes == 0 && ended is null)
                    break;
            }

            if (bytes > 0)
                return true;
            _sleeper ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            ready = _sleeper.Task;
            return false;
        }
    }

    /// <summary>Nothing is taken any more, and who waits is told.</summary>
    public void Close(string reason)
    {
        OutgoingCall[] calls;
        lock (_gate)
        {
            if (_closed is not null)
                return;
            _closed = reason;
            calls = [.. _calls.Values.Where(static call => call.TrySettle())];
            _calls.Clear();
        }

        foreach (OutgoingCall call in calls)
            Fail(call, new PeerUnavailableException(nodeId, call.WasSent, reason));
    }

    private static void Fail(OutgoingCall call, Exception cause)
    {
        RaftMetrics.PeerCallsFailed.Add(1);
        call.TrySetException(cause);
    }

    /// <summary>Under the lock.</summary>
    private void Written(OutgoingCall call, bool isWhole)
    {
        call.WasSent = isWhole;
        if (isWhole)
            return;
        _calls.Remove(call.Id);
        Release(call);
    }

    /// <summary>Under the lock.</summary>
    private void Release(OutgoingCall call)
    {
        CallAdmission admission = AdmissionOf(call.Message.Group);
        admission.Leave(call);
        Admit(admission);
    }

    /// <summary>Under the lock.</summary>
    private void Admit(CallAdmission admission)
    {
        while (admission.Next() is { } call)
            _round.Add(call.Message);
    }

    /// <summary>Under the lock.</summary>
    private CallAdmission AdmissionOf(long group)
    {
        if (_admissions.TryGetValue(group, out CallAdmission? admission))
            return admission;
        if (_admissions.Count >= GroupsKept)
        {
            foreach (long idle in _admissions.Where(static known => known.Value.IsIdle).Select(static known => known.Key).ToArray())
                _admissions.Remove(idle);
        }

        _admissions.Add(group, admission = new CallAdmission(options.GroupBytesInFlight));
        return admission;
    }

    /// <summary>Under the lock. Numbers come round again after 4 billion calls; a call may still wait then.</summary>
    private uint UnusedId()
    {
        while (_calls.ContainsKey(++_lastId))
        {
        }

        return _lastId;
    }

    /// <summary>Under the lock: what to complete, after the lock, if the writer sleeps while there is something to write.</summary>
    private TaskCompletionSource? TakeWake() => _round.IsEmpty ? null : Interlocked.Exchange(ref _sleeper, null);
}
