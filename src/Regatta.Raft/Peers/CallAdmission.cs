namespace Regatta.Raft;

/// <summary>
/// How much of one group is under way to one node. Calls beyond the limit wait here, in the order in which they were made. Not thread-safe: guarded by the
/// lock of its <see cref="Outbox"/>.
/// </summary>
internal sealed class CallAdmission(long limit)
{
    private readonly LinkedList<OutgoingCall> _waiting = new();
    private long _taken;

    public bool IsIdle => _taken == 0 && _waiting.Count == 0;

    public int Waiting => _waiting.Count;

    /// <returns>Whether the call may be sent at once; otherwise it waits.</returns>
    public bool Enter(OutgoingCall call)
    {
        if (_waiting.Count == 0 && TryTake(call))
            return true;
        call.Place = _waiting.AddLast(call);
        return false;
    }

    /// <summary>A call is over that had been let through.</summary>
    public void Leave(OutgoingCall call) => _taken -= call.Cost;

    /// <returns>Whether the call was still waiting.</returns>
    public bool Withdraw(OutgoingCall call)
    {
        if (call.Place is null)
            return false;
        _waiting.Remove(call.Place);
        call.Place = null;
        return true;
    }

    /// <summary>Who waited first and may go now; ask until there is none.</summary>
    public OutgoingCall? Next()
    {
        if (_waiting.First?.Value is not { } call || !TryTake(call))
            return null;
        _waiting.RemoveFirst();
        call.Place = null;
        return call;
    }

    private bool TryTake(OutgoingCall call)
    {
        if (_taken > 0 && _taken + call.Cost > limit)
            return false;
        _taken += call.Cost;
        return true;
    }
}
