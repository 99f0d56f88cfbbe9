using System.Buffers.Binary;
using System.IO.Hashing;

namespace Regatta.Raft;

/// <summary>
/// One entry as stored: <c>[checksum u64 LE][format u8 = 1][flags u8][term i64 LE][payload]</c>. The checksum (XXH3) covers everything
/// behind it and the key, so that a record that turns up in another place is found too.
/// </summary>
internal static class LogRecord
{
    public const int HeaderBytes = FlagsAt + 1 + sizeof(long);

    private const byte Format = 1;
    private const byte ConfigurationFlag = 1;
    private const int FormatAt = sizeof(ulong);
    private const int FlagsAt = FormatAt + 1;
    private const int TermAt = FlagsAt + 1;

    /// <summary>A record without its checksum: that needs the key and is set by <see cref="Seal"/> when the index is known.</summary>
    public static byte[] New(long term, bool isConfiguration, ReadOnlySpan<byte> payload)
    {
        byte[] record = GC.AllocateUninitializedArray<byte>(HeaderBytes + payload.Length);
        record[FormatAt] = Format;
        record[FlagsAt] = isConfiguration ? ConfigurationFlag : (byte)0;
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(TermAt), term);
        payload.CopyTo(record.AsSpan(HeaderBytes));
        return record;
    }

    public static void Seal(Span<byte> record, long group, long index) =>
        BinaryPrimitives.WriteUInt64LittleEndian(record, Checksum(record, group, index));

    /// <summary>Null when the record is sound, else what is wrong with it.</summary>
    public static string? Fault(ReadOnlySpan<byte> record, long group, long index)
    {
        if (record.Length < sizeof(ulong) || BinaryPrimitives.ReadUInt64LittleEndian(record) != Checksum(record, group, index))
            return "its checksum does not match";
        if (record.Length < HeaderBytes)
            return "it is too short";
        return record[FormatAt] == Format ? null : $"its format {record[FormatAt]} is not known to this version";
    }

    public static long Term(ReadOnlySpan<byte> record) => BinaryPrimitives.ReadInt64LittleEndian(record[TermAt..]);

    /// <summary>Of a sealed record.</summary>
    public static ulong ChecksumOf(ReadOnlySpan<byte> record) => BinaryPrimitives.ReadUInt64LittleEndian(record);

    public static bool IsConfiguration(ReadOnlySpan<byte> record) => (record[FlagsAt] & ConfigurationFlag) != 0;

    /// <summary>Bytes of a record on its way to another node, which makes the checksum itself.</summary>
    public static int BytesWithoutChecksum(int payload) => HeaderBytes - FormatAt + payload;

    public static void WriteWithoutChecksum(Span<byte> target, long term, bool isConfiguration, ReadOnlySpan<byte> payload)
    {
        target[0] = Format;
        target[FlagsAt - FormatAt] = isConfiguration ? ConfigurationFlag : (byte)0;
        BinaryPrimitives.WriteInt64LittleEndian(target[(TermAt - FormatAt)..], term);
        payload.CopyTo(target[(HeaderBytes - FormatAt)..]);
    }

    public static bool HasKnownFormat(ReadOnlySpan<byte> withoutChecksum) => withoutChecksum[0] == Format;

    public static long TermWithoutChecksum(ReadOnlySpan<byte> record) => BinaryPrimitives.ReadInt64LittleEndian(record[(TermAt - FormatAt)..]);

    public static bool IsConfigurationWithoutChecksum(ReadOnlySpan<byte> record) => (record[FlagsAt - FormatAt] & ConfigurationFlag) != 0;

    public static ReadOnlyMemory<byte> Payload(byte[] record) => record.AsMemory(HeaderBytes);

    /// <summary>XXH3 over the key and the hash of the bytes behind the checksum; also guards the hard state.</summary>
    public static ulong Checksum(ReadOnlySpan<byte> record, long group, long index)
    {
        Span<byte> bound = stackalloc byte[LogKey.Bytes + sizeof(ulong)];
        LogKey.Write(bound, group, index);
        BinaryPrimitives.WriteUInt64LittleEndian(bound[LogKey.Bytes..], XxHash3.HashToUInt64(record[sizeof(ulong)..]));
        return XxHash3.HashToUInt64(bound);
    }
}
