namespace Regatta.Protocol.Compression;

/// <summary>Passes reads through and remembers the last eight bytes that passed.</summary>
internal sealed class TailStream(Stream source) : Stream
{
    public const int TailLength = 8;

    private readonly byte[] _tail = new byte[TailLength];

    /// <summary>The last eight bytes read; meaningful once at least as many were.</summary>
    public ReadOnlySpan<byte> Tail => _tail;

    public long TotalLength { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public void SkipToEnd()
    {
        Span<byte> skipped = stackalloc byte[1024];
        while (Read(skipped) > 0)
        {
        }
    }

    public override int Read(Span<byte> buffer)
    {
        int read = source.Read(buffer);
        TotalLength += read;
        int kept = Math.Min(read, TailLength);
        _tail.AsSpan(kept).CopyTo(_tail);
        buffer[(read - kept)..read].CopyTo(_tail.AsSpan(TailLength - kept));
        return read;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
