using Grpc.Core;

namespace Regatta.Protocol.Compression;

/// <summary>The form in which the gRPC library wants a decoder, with damage reported as the status that the library sends on.</summary>
internal sealed class DecodingStream(string encoding, MessageDecoder decoder) : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return 0;
        }

        try
        {
            return decoder.Read(buffer);
        }
        catch (InvalidDataException e)
        {
            // INTERNAL is what the gRPC specification asks for; any other exception would reach the peer as an unexplained UNKNOWN.
            throw new RpcException(new Status(StatusCode.Internal, $"The message is not valid {encoding}: {e.Message}", e));
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            decoder.Dispose();
        }

        base.Dispose(disposing);
    }
}
