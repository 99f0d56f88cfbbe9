using System.Buffers;
using System.IO.Compression;
using Grpc.Net.Compression;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace Regatta.Protocol.Compression;

/// <summary>zstd (RFC 8878), one frame per message, with the optional checksum.</summary>
internal sealed class ZstdMessageEncoding : ICompressionProvider
{
    public string EncodingName => "zstd";

    /// <summary>Without a level the fastest is used: a message waits for its encoder.</summary>
    public Stream CreateCompressionStream(Stream stream, CompressionLevel? compressionLevel)
    {
        int level = compressionLevel switch
        {
            CompressionLevel.Optimal => Compressor.DefaultCompressionLevel,
            CompressionLevel.SmallestSize => 9, // above it, time grows much faster than size shrinks
            _ => 1,
        };
        return new EncodingStream(stream, (message, target) => Encode(message, target, level));
    }

    public Stream CreateDecompressionStream(Stream stream) => new DecodingStream(EncodingName, new ZstdDecoder(stream));

    private static void Encode(ReadOnlySpan<byte> message, Stream target, int level)
    {
        using Compressor compressor = new(level);
        compressor.SetParameter(ZSTD_cParameter.ZSTD_c_checksumFlag, 1);
        byte[] frame = ArrayPool<byte>.Shared.Rent(Compressor.GetCompressBound(message.Length));
        try
        {
            // In one go, so that tables and window have the message's size instead of a stream's.
            target.Write(frame.AsSpan(0, compressor.Wrap(message, frame)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(frame);
        }
    }
}
