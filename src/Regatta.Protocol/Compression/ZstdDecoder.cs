using ZstdSharp;
using ZstdSharp.Unsafe;

namespace Regatta.Protocol.Compression;

/// <summary>Decodes zstd frames whose window is at most 8 MiB, which is what RFC 8878 asks every decoder to support.</summary>
internal sealed class ZstdDecoder : MessageDecoder
{
    /// <summary>2^23 bytes. The library would go to 128 MiB, allocated because a frame's header of six bytes says so.</summary>
    private const int MaxWindowLog = 23;

    private const int InputBufferSize = 16 * 1024;

    private readonly DecompressionStream _zstd;

    public ZstdDecoder(Stream compressed)
    {
        _zstd = new DecompressionStream(compressed, InputBufferSize, checkEndOfStream: true, leaveOpen: true);
        _zstd.SetParameter(ZSTD_dParameter.ZSTD_d_windowLogMax, MaxWindowLog);
    }

    public override int Read(Span<byte> buffer)
    {
        try
        {
            return _zstd.Read(buffer);
        }
        catch (EndOfStreamException e)
        {
            throw new InvalidDataException("it ends early.", e);
        }
        catch (ZstdException e)
        {
            throw new InvalidDataException(e.Message, e);
        }
    }

    public override void Dispose() => _zstd.Dispose();
}
