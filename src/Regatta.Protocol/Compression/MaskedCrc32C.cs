using System.Buffers.Binary;
using System.Numerics;

namespace Regatta.Protocol.Compression;

/// <summary>The checksum of the snappy framing format: CRC-32C, rotated and offset so that a checksum of checksums still says something.</summary>
internal static class MaskedCrc32C
{
    public static uint Of(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        while (data.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(data));
            data = data[sizeof(ulong)..];
        }

        foreach (byte b in data)
        {
            crc = BitOperations.Crc32C(crc, b);
        }

        return BitOperations.RotateRight(~crc, 15) + 0xa282ead8;
    }
}
