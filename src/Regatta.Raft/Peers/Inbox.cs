using System.Buffers;

namespace Regatta.Raft;

/// <summary>
/// Puts the frames of one connection together and hands requests to the server, replies to who waits for them. Whatever breaks a limit that the other
/// side must keep is damage. Not thread-safe: the connection's reader's.
/// </summary>
internal sealed class Inbox(PeerNetworkOptions options, Outbox outbox, RequestServer server) : IDisposable
{
    private readonly Dictionary<long, IncomingMessage> _parts = [];

    /// <exception cref="MalformedFrameException">The frame cannot be meant: the connection is of no use any more.</exception>
    public void Take(Frame frame, ReadOnlySequence<byte> body)
    {
        switch (frame.Kind)
        {
            case FrameKind.Ping:
                outbox.SignOfLife(FrameKind.Pong);
                break;
            case FrameKind.Pong:
                break;
            case FrameKind.Request or FrameKind.Reply or FrameKind.Failure:
                TakePiece(frame, body);
                break;
            case FrameKind.Abandoned:
                Abandon(frame);
                break;
            default:
                throw new MalformedFrameException($"it sent a frame of kind {frame.Kind} after the handshake");
        }
    }

    public void Dispose()
    {
        foreach (IncomingMessage part in _parts.Values)
            part.Dispose();
        _parts.Clear();
    }

    private void TakePiece(Frame frame, ReadOnlySequence<byte> body)
    {
        bool hasBegun = _parts.TryGetValue(frame.Group, out IncomingMessage? part);
        if (hasBegun && !part!.Continues(frame))
            throw new MalformedFrameException($"it began a message of group {frame.Group} before the one before was complete");
        int length = (part?.Length ?? 0) + frame.Length;
        if (length > options.MaxMessageBytes)
            throw new MalformedFrameException($"it sent a message of more than {options.MaxMessageBytes} bytes");
        if (frame is { HasMore: true, Length: 0 })
            throw new MalformedFrameException("it sent an empty piece of a message");
        Check(frame, length);
        if (!hasBegun && !frame.HasMore)
        {
            Deliver(frame, body.ToArray());
            return;
        }

        if (!hasBegun)
            _parts.Add(frame.Group, part = new IncomingMessage(frame));
        part!.Add(body);
        if (frame.HasMore)
            return;
        _parts.Remove(frame.Group);
        using (part)
            Deliver(frame, part.Join());
    }

    private void Check(Frame frame, int length)
    {
        if (frame.Kind == FrameKind.Request)
            server.Check(frame.Group, length);
        else if (!outbox.Expects(frame.Group, frame.Call))
            throw new MalformedFrameException("it sent a reply that nobody waits for");
    }

    private void Deliver(Frame frame, byte[] message)
    {
        if (frame.Kind == FrameKind.Request)
            server.Add(new IncomingRequest(frame.Group, frame.Call, frame.Method, message));
        else
            outbox.Complete(frame.Call, frame.Kind, message);
    }

    private void Abandon(Frame frame)
    {
        if (!_parts.Remove(frame.Group, out IncomingMessage? part))
            throw new MalformedFrameException("it gave up a request that it had not begun");
        using (part)
        {
            if (!part.IsRequest(frame.Call))
                throw new MalformedFrameException("it gave up another request than the one it had begun");
        }
    }
}
