using System.IO.Compression;
using Grpc.Net.Compression;
using Snappier;

namespace Regatta.Protocol.Compression;

/// <summary>The snappy framing format (framing_format.txt of the snappy project), one stream per message.</summary>
internal sealed class SnappyMessageEncoding : ICompressionProvider
{
    public string EncodingName => "snappy";

    /// <summary>snappy knows no levels.</summary>
    public Stream CreateCompressionStream(Stream stream, CompressionLevel? compressionLevel) => new EncodingStream(stream, Encode);

    public Stream CreateDecompressionStream(Stream stream) => new DecodingStream(EncodingName, new SnappyFrameDecoder(stream));

    private static void Encode(ReadOnlySpan<byte> message, Stream target)
    {
        using SnappyStream snappy = new(target, CompressionMode.Compress, leaveOpen: true);
        snappy.Write(message);
    }
}
