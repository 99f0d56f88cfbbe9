using System.Buffers;

namespace Regatta.Raft;

/// <summary>A message of which not all frames have come. Not thread-safe: the connection's reader's.</summary>
internal sealed class IncomingMessage(Frame first) : IDisposable
{
    private readonly List<(byte[] Buffer, int Length)> _pieces = [];

    public int Length { get; private set; }

    public bool Continues(Frame frame) => frame.Call == first.Call && frame.Kind == first.Kind && frame.Method == first.Method;

    public bool IsRequest(uint call) => first.Kind == FrameKind.Request && first.Call == call;

    public void Add(ReadOnlySequence<byte> piece)
    {
        int length = (int)piece.Length;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        piece.CopyTo(buffer);
        _pieces.Add((buffer, length));
        Length += length;
    }

    public byte[] Join()
    {
        byte[] whole = GC.AllocateUninitializedArray<byte>(Length);
        int position = 0;
        foreach ((byte[] buffer, int length) in _pieces)
        {
            buffer.AsSpan(0, length).CopyTo(whole.AsSpan(position));
            position += length;
        }

        return whole;
    }

    public void Dispose()
    {
        foreach ((byte[] buffer, _) in _pieces)
            ArrayPool<byte>.Shared.Return(buffer);
        _pieces.Clear();
    }
}
