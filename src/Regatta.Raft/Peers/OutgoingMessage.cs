namespace Regatta.Raft;

/// <summary>A request or a reply on its way out. Guarded by the lock of its <see cref="Outbox"/>.</summary>
/// <param name="call">Of a request.</param>
internal sealed class OutgoingMessage(FrameKind kind, long group, uint id, PeerMethod method, ReadOnlyMemory<byte> body, OutgoingCall? call)
{
    private ReadOnlyMemory<byte> _body = body;
    private int _written;
    private bool _isAbandoned;

    public long Group => group;

    public OutgoingCall? Call => call;

    /// <summary>The next frame. An abandoned message that has begun ends with a frame that says so, one that has not is not sent at all.</summary>
    /// <returns>Whether there is a frame to write.</returns>
    public bool TryNext(int frameBytes, out Frame frame, out ReadOnlyMemory<byte> piece)
    {
        if (_isAbandoned)
        {
            piece = default;
            frame = new Frame(0, group, id, FrameKind.Abandoned, HasMore: false, method);
            return _written > 0;
        }

        int length = Math.Min(frameBytes, _body.Length - _written);
        piece = _body.Slice(_written, length);
        _written += length;
        frame = new Frame(length, group, id, kind, _written < _body.Length, method);
        return true;
    }

    /// <summary>The caller may do with the body what it likes from here on.</summary>
    public void Abandon()
    {
        _isAbandoned = true;
        _body = default;
    }
}
