using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;

namespace Regatta.Protocol.Compression;

/// <summary>
/// Decodes one gzip member. <see cref="GZipStream"/> alone will not do: it takes the end of a truncated input for the end of the
/// message, and ignores what follows a member. So the trailer (checksum and length) is compared here with what was decoded, and it
/// must be the last thing in the input. Several members in one message are refused too; no gRPC library sends them.
/// </summary>
internal sealed class GzipDecoder : MessageDecoder
{
    /// <summary>Header and trailer, and the two bytes of the shortest possible body.</summary>
    private const int ShortestMember = 10 + 2 + TailStream.TailLength;

    private readonly TailStream _input;
    private readonly GZipStream _gzip;
    private readonly Crc32 _checksum = new();
    private uint _length;

    public GzipDecoder(Stream compressed)
    {
        _input = new TailStream(compressed);
        _gzip = new GZipStream(_input, CompressionMode.Decompress);
    }

    public override int Read(Span<byte> buffer)
    {
        int read = _gzip.Read(buffer);
        if (read == 0)
        {
            RequireTrailer();
            return 0;
        }

        _checksum.Append(buffer[..read]);
        _length += (uint)read; // modulo 2^32, as the trailer has it
        return read;
    }

    public override void Dispose() => _gzip.Dispose();

    private void RequireTrailer()
    {
        _input.SkipToEnd();
        if (_input.TotalLength == 0)
        {
            return;
        }

        bool complete = _input.TotalLength >= ShortestMember
            && BinaryPrimitives.ReadUInt32LittleEndian(_input.Tail) == _checksum.GetCurrentHashAsUInt32()
            && BinaryPrimitives.ReadUInt32LittleEndian(_input.Tail[4..]) == _length;
        if (!complete)
        {
            throw new InvalidDataException("it ends early, or its checksum or length is not that of its content.");
        }
    }
}
