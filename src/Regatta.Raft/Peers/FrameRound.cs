using System.Buffers;

namespace Regatta.Raft;

/// <summary>
/// Messages that may be sent, and whose turn it is: one frame of each group that has something, then round again, so that a group's large messages delay
/// another group's small one by one frame. Messages of a group go one after the other. Not thread-safe: guarded by the lock of its <see cref="Outbox"/>.
/// </summary>
internal sealed class FrameRound(int frameBytes)
{
    /// <summary>Idle groups are remembered up to here, so that the next message of a group allocates nothing for it.</summary>
    private const int GroupsKept = 1024;

    private readonly Dictionary<long, Queue<OutgoingMessage>> _groups = [];
    private readonly Queue<(long Group, Queue<OutgoingMessage> Messages)> _turns = new();
    private bool _owesPing;
    private bool _owesPong;

    public bool IsEmpty => _turns.Count == 0 && !_owesPing && !_owesPong;

    public void AddPing() => _owesPing = true;

    public void AddPong() => _owesPong = true;

    public void Add(OutgoingMessage message)
    {
        if (!_groups.TryGetValue(message.Group, out Queue<OutgoingMessage>? messages))
        {
            ForgetIdle();
            _groups.Add(message.Group, messages = new Queue<OutgoingMessage>());
        }

        messages.Enqueue(message);
        if (messages.Count == 1)
            _turns.Enqueue((message.Group, messages));
    }

    /// <summary>Writes the next frame.</summary>
    /// <param name="ended">The message whose last frame it was. It may also have been dropped without a frame.</param>
    /// <returns>The bytes written; 0 when a message was dropped, or nothing is ready and <paramref name="ended"/> is null.</returns>
    public int Write(IBufferWriter<byte> output, out OutgoingMessage? ended)
    {
        ended = null;
        if (_owesPing || _owesPong)
            return WriteSignOfLife(output);
        if (!_turns.TryDequeue(out (long Group, Queue<OutgoingMessage> Messages) turn))
            return 0;
        OutgoingMessage message = turn.Messages.Peek();
        int bytes = 0;
        bool isOver = true;
        if (message.TryNext(frameBytes, out Frame frame, out ReadOnlyMemory<byte> piece))
        {
            frame.Write(output, piece.Span);
            bytes = Frame.HeaderBytes + piece.Length;
            isOver = !frame.HasMore;
        }

        if (isOver)
            ended = turn.Messages.Dequeue();
        if (turn.Messages.Count > 0)
            _turns.Enqueue(turn);
        return bytes;
    }

    private int WriteSignOfLife(IBufferWriter<byte> output)
    {
        Frame.Of(_owesPong ? FrameKind.Pong : FrameKind.Ping).Write(output, default);
        (_owesPing, _owesPong) = (_owesPing && _owesPong, false);
        return Frame.HeaderBytes;
    }

    private void ForgetIdle()
    {
        if (_groups.Count < GroupsKept)
            return;
        foreach (long group in _groups.Where(static group => group.Value.Count == 0).Select(static group => group.Key).ToArray())
            _groups.Remove(group);
    }
}
