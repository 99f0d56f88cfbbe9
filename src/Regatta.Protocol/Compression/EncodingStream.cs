using System.Buffers;

namespace Regatta.Protocol.Compression;

/// <summary>Encodes a whole message into a target.</summary>
internal delegate void MessageEncoder(ReadOnlySpan<byte> message, Stream target);

/// <summary>
/// Collects a message and encodes it when disposed. Encoders do better with the whole message: they know its size, and see an empty
/// one, for which the library streams would write nothing at all, which is no valid message for peers.
/// </summary>
internal sealed class EncodingStream(Stream target, MessageEncoder encode) : Stream
{
    private byte[] _message = [];
    private int _length;
    private bool _disposed;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => !_disposed;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (buffer.Length > _message.Length - _length)
        {
            Grow(checked(_length + buffer.Length));
        }

        buffer.CopyTo(_message.AsSpan(_length));
        _length += buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>Does nothing: a message is encoded as a whole, at its end.</summary>
    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            try
            {
                encode(_message.AsSpan(0, _length), target);
            }
            finally
            {
                Return(_message);
                _message = [];
            }
        }

        base.Dispose(disposing);
    }

    private void Grow(int needed)
    {
        int doubled = (int)Math.Min(2L * _message.Length, Array.MaxLength);
        byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, doubled));
        _message.AsSpan(0, _length).CopyTo(larger);
        Return(_message);
        _message = larger;
    }

    private static void Return(byte[] buffer)
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
