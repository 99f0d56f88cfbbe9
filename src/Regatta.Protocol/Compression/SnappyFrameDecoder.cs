using System.Buffers;
using System.Buffers.Binary;
using Snappier;

namespace Regatta.Protocol.Compression;

/// <summary>
/// Decodes the snappy framing format, chunk by chunk. Snappier's own stream will not do for input from outside: it takes a truncated
/// stream for a complete one, drops input after a chunk header of zeros, does not ask for the stream identifier, and allocates
/// whatever length a chunk claims to have (hundreds of MiB from a dozen bytes).
/// </summary>
/// <remarks>
/// Chunks of the types that the format reserves as skippable (0x80 to 0xfd) are refused. No encoder writes them, and one flipped bit
/// makes such a type of a data chunk's, whose content would then be missing without a trace. The format has no trailer: an input that
/// ends exactly between two chunks is complete as far as anyone can tell.
/// </remarks>
internal sealed class SnappyFrameDecoder(Stream compressed) : MessageDecoder
{
    /// <summary>The most that one chunk may hold, by the format.</summary>
    private const int MaxChunkContent = 65_536;

    private const int ChecksumLength = 4;
    private const int HeaderLength = 4;

    private byte[] _input = [];
    private byte[] _content = [];
    private int _position;
    private int _end;
    private bool _identified;

    private static ReadOnlySpan<byte> Identifier => "sNaPpY"u8;

    public override int Read(Span<byte> buffer)
    {
        while (_position == _end)
        {
            if (!ReadChunk())
            {
                return 0;
            }
        }

        int read = Math.Min(buffer.Length, _end - _position);
        _content.AsSpan(_position, read).CopyTo(buffer);
        _position += read;
        return read;
    }

    public override void Dispose()
    {
        Rent(ref _input, 0);
        Rent(ref _content, 0);
        _position = _end = 0;
    }

    /// <returns>False at the end of the input, which is a right end only between chunks.</returns>
    private bool ReadChunk()
    {
        Span<byte> header = stackalloc byte[HeaderLength];
        int read = compressed.ReadAtLeast(header, HeaderLength, throwOnEndOfStream: false);
        if (read == 0)
        {
            return false;
        }

        Require(read == HeaderLength, "it ends within a chunk's header.");
        SnappyChunkType type = (SnappyChunkType)header[0];
        int length = header[1] | (header[2] << 8) | (header[3] << 16);
        Require(_identified || type == SnappyChunkType.StreamIdentifier, "it does not begin with the stream identifier.");
        switch (type)
        {
            case SnappyChunkType.StreamIdentifier:
                Require(length == Identifier.Length && ReadBody(length).SequenceEqual(Identifier), "the stream identifier is wrong.");
                _identified = true;
                break;
            case SnappyChunkType.Compressed:
                Decompress(ReadData(length, Snappy.GetMaxCompressedLength(MaxChunkContent), out uint checksum), checksum);
                break;
            case SnappyChunkType.Uncompressed:
                Take(ReadData(length, MaxChunkContent, out checksum), checksum);
                break;
            case SnappyChunkType.Padding:
                Skip(length);
                break;
            default:
                throw new InvalidDataException($"a chunk has the unknown type {header[0]}.");
        }

        return true;
    }

    private void Decompress(ReadOnlySpan<byte> block, uint checksum)
    {
        // Looked at before anything is allocated for it: the claim may be any number.
        int length = Snappy.GetUncompressedLength(block);
        Require(length is >= 0 and <= MaxChunkContent, "a chunk claims to hold more than 65,536 bytes.");
        Rent(ref _content, length);
        Require(
            Snappy.TryDecompress(block, _content.AsSpan(0, length), out int written) && written == length,
            "a chunk does not decompress to the length that it claims.");
        Publish(length, checksum);
    }

    private void Take(ReadOnlySpan<byte> data, uint checksum)
    {
        Rent(ref _content, data.Length);
        data.CopyTo(_content);
        Publish(data.Length, checksum);
    }

    private void Publish(int length, uint checksum)
    {
        Require(MaskedCrc32C.Of(_content.AsSpan(0, length)) == checksum, "a chunk's checksum is wrong.");
        _position = 0;
        _end = length;
    }

    private ReadOnlySpan<byte> ReadData(int length, int maxData, out uint checksum)
    {
        Require(length >= ChecksumLength && length <= ChecksumLength + maxData, "a chunk's length is out of range.");
        ReadOnlySpan<byte> body = ReadBody(length);
        checksum = BinaryPrimitives.ReadUInt32LittleEndian(body);
        return body[ChecksumLength..];
    }

    private ReadOnlySpan<byte> ReadBody(int length)
    {
        Rent(ref _input, length);
        Span<byte> body = _input.AsSpan(0, length);
        Require(compressed.ReadAtLeast(body, length, throwOnEndOfStream: false) == length, "it ends within a chunk.");
        return body;
    }

    private void Skip(int length)
    {
        Rent(ref _input, Math.Min(length, MaxChunkContent));
        while (length > 0)
        {
            int read = compressed.Read(_input.AsSpan(0, Math.Min(length, _input.Length)));
            Require(read > 0, "it ends within a chunk.");
            length -= read;
        }
    }

    /// <summary>Makes room for so many bytes; what was there is lost. Every chunk's length is bounded before it comes here.</summary>
    private static void Rent(ref byte[] buffer, int length)
    {
        if (buffer.Length >= length && length > 0)
        {
            return;
        }

        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        buffer = length == 0 ? [] : ArrayPool<byte>.Shared.Rent(length);
    }

    private static void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new InvalidDataException(otherwise);
        }
    }
}
