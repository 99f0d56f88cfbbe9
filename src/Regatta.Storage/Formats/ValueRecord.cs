using System.Buffers.Binary;
using System.IO.Hashing;
using Regatta.Core;

namespace Regatta.Storage.Formats;

/// <summary>
/// What is stored under a user key:
/// <code>
/// 0   u8   format, 1
/// 1   i64  create revision   (integers are little-endian)
/// 9   i64  mod revision
/// 17  i64  version
/// 25  u32  check over key, the bytes before it, and value
/// 29  ...  value
/// </code>
/// The check goes further than RocksDB's block checksums: it holds from the moment of writing, in write buffers and caches too, and ties
/// the value to its key.
/// </summary>
internal static class ValueRecord
{
    internal const int HeaderBytes = 29;
    private const byte Format = 1;
    private const int CheckOffset = 25;

    /// <summary>Writes header and value; <paramref name="target"/> has <see cref="HeaderBytes"/> + the value's length.</summary>
    internal static void Encode(Span<byte> target, ReadOnlySpan<byte> key, in RecordHeader header, ReadOnlySpan<byte> value)
    {
        target[0] = Format;
        BinaryPrimitives.WriteInt64LittleEndian(target[1..], header.CreateRevision);
        BinaryPrimitives.WriteInt64LittleEndian(target[9..], header.ModRevision);
        BinaryPrimitives.WriteInt64LittleEndian(target[17..], header.Version);
        BinaryPrimitives.WriteUInt32LittleEndian(target[CheckOffset..], Check(key, target[..CheckOffset], value));
        value.CopyTo(target[HeaderBytes..]);
    }

    /// <exception cref="StorageCorruptionException">The record is not what was stored under this key.</exception>
    internal static RecordHeader Decode(ReadOnlySpan<byte> record, ReadOnlySpan<byte> key, string directory, out ReadOnlySpan<byte> value)
    {
        if (record.Length < HeaderBytes || record[0] != Format) throw FormatError.Of(directory, "data", key, "has no known format");
        value = record[HeaderBytes..];
        if (BinaryPrimitives.ReadUInt32LittleEndian(record[CheckOffset..]) != Check(key, record[..CheckOffset], value))
            throw FormatError.Of(directory, "data", key, "does not have the checksum it was written with");
        return new RecordHeader(
            BinaryPrimitives.ReadInt64LittleEndian(record[1..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[9..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[17..]));
    }

    private static uint Check(ReadOnlySpan<byte> key, ReadOnlySpan<byte> header, ReadOnlySpan<byte> value)
    {
        Span<byte> parts = stackalloc byte[CheckOffset + 16];
        header.CopyTo(parts);
        BinaryPrimitives.WriteUInt64LittleEndian(parts[CheckOffset..], XxHash3.HashToUInt64(key));
        BinaryPrimitives.WriteUInt64LittleEndian(parts[(CheckOffset + 8)..], XxHash3.HashToUInt64(value));
        return (uint)XxHash3.HashToUInt64(parts);
    }
}
