using System.IO.Compression;
using Grpc.Net.Compression;

namespace Regatta.Protocol.Compression;

/// <summary>gzip (RFC 1952), one member per message.</summary>
internal sealed class GzipMessageEncoding : ICompressionProvider
{
    public string EncodingName => "gzip";

    /// <summary>Without a level the fastest is used: a message waits for its encoder.</summary>
    public Stream CreateCompressionStream(Stream stream, CompressionLevel? compressionLevel)
    {
        CompressionLevel level = compressionLevel ?? CompressionLevel.Fastest;
        return new EncodingStream(stream, (message, target) => Encode(message, target, level));
    }

    public Stream CreateDecompressionStream(Stream stream) => new DecodingStream(EncodingName, new GzipDecoder(stream));

    private static void Encode(ReadOnlySpan<byte> message, Stream target, CompressionLevel level)
    {
        if (message.IsEmpty)
        {
            // GZipStream writes nothing for an empty message, and Go's gRPC refuses to decode nothing.
            target.Write(EmptyMember);
            return;
        }

        using GZipStream gzip = new(target, level, leaveOpen: true);
        gzip.Write(message);
    }

    /// <summary>Header without time and system, one final block with nothing in it, checksum 0, length 0.</summary>
    private static ReadOnlySpan<byte> EmptyMember =>
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
}
