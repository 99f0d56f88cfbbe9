using System.Buffers.Binary;
using System.IO.Hashing;

namespace Regatta.Storage.Formats;

/// <summary>
/// The changelog's keys and values.
/// <code>
/// key    0  u64  table revision, big-endian: bytewise order is numeric order
///        8  u32  part, big-endian
/// value  0  u8   format, 1
///        1  u32  check over key, format byte and record (little-endian)
///        5  ...  record, as encoded by Core
/// </code>
/// </summary>
internal static class ChangelogRecord
{
    internal const int KeyBytes = 12;
    internal const int HeaderBytes = 5;
    private const byte Format = 1;

    internal static void EncodeKey(Span<byte> target, long revision, int part)
    {
        BinaryPrimitives.WriteInt64BigEndian(target, revision);
        BinaryPrimitives.WriteInt32BigEndian(target[8..], part);
    }

    /// <exception cref="StorageCorruptionException">No changelog key.</exception>
    internal static (long Revision, int Part) DecodeKey(ReadOnlySpan<byte> key, string directory)
    {
        if (key.Length != KeyBytes) throw FormatError.Of(directory, "changelog", key, $"has a key of {key.Length} bytes instead of {KeyBytes}");
        return (BinaryPrimitives.ReadInt64BigEndian(key), BinaryPrimitives.ReadInt32BigEndian(key[8..]));
    }

    internal static void Encode(Span<byte> target, ReadOnlySpan<byte> key, ReadOnlySpan<byte> record)
    {
        target[0] = Format;
        BinaryPrimitives.WriteUInt32LittleEndian(target[1..], Check(key, record));
        record.CopyTo(target[HeaderBytes..]);
    }

    /// <exception cref="StorageCorruptionException">The value is not what was stored under this key.</exception>
    internal static ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> value, ReadOnlySpan<byte> key, string directory)
    {
        if (value.Length < HeaderBytes || value[0] != Format) throw FormatError.Of(directory, "changelog", key, "has no known format");
        ReadOnlySpan<byte> record = value[HeaderBytes..];
        if (BinaryPrimitives.ReadUInt32LittleEndian(value[1..]) != Check(key, record))
            throw FormatError.Of(directory, "changelog", key, "does not have the checksum it was written with");
        return record;
    }

    private static uint Check(ReadOnlySpan<byte> key, ReadOnlySpan<byte> record)
    {
        Span<byte> parts = stackalloc byte[KeyBytes + 9];
        key.CopyTo(parts);
        parts[KeyBytes] = Format;
        BinaryPrimitives.WriteUInt64LittleEndian(parts[(KeyBytes + 1)..], XxHash3.HashToUInt64(record));
        return (uint)XxHash3.HashToUInt64(parts);
    }
}
