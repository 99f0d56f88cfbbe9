using Grpc.Net.Compression;

namespace Regatta.Protocol.Compression;

/// <summary>
/// The message encodings that a Regatta server understands and answers with. All are stateless and safe to share between threads,
/// channels and servers.
/// </summary>
/// <remarks>
/// <para>What they promise for a received message:</para>
/// <list type="bullet">
/// <item>a truncated or damaged message fails with INTERNAL and a sentence, as the gRPC specification asks, instead of yielding a part
/// of itself as if that were all (as far as the format tells: snappy does not mark its end, and zstd's checksum is optional);</item>
/// <item>it is decoded piece by piece as the caller reads, and the memory used on the way does not depend on sizes that the message
/// claims to have. The receive limit of server and channel counts decoded bytes and ends the reading, so a decompression bomb costs no
/// more than one message of the permitted size;</item>
/// <item>a body of no bytes at all is an empty message, because some peers encode an empty message so.</item>
/// </list>
/// </remarks>
public static class MessageEncodings
{
    /// <summary>gzip, for peers without the others; every gRPC library has it.</summary>
    public static ICompressionProvider Gzip { get; } = new GzipMessageEncoding();

    /// <summary>The framed snappy format, which the Go client uses unless told otherwise.</summary>
    public static ICompressionProvider Snappy { get; } = new SnappyMessageEncoding();

    /// <summary>zstd.</summary>
    public static ICompressionProvider Zstd { get; } = new ZstdMessageEncoding();

    /// <summary>All of them, as <c>GrpcServiceOptions.CompressionProviders</c> and <c>GrpcChannelOptions.CompressionProviders</c> take them.</summary>
    public static IReadOnlyList<ICompressionProvider> All { get; } = [Snappy, Zstd, Gzip];
}
