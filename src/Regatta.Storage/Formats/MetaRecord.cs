using System.Buffers.Binary;
using System.IO.Hashing;

namespace Regatta.Storage.Formats;

/// <summary>
/// A position in the changelog that trimming can cut behind. Local to a node: no part of the table's state.
/// </summary>
/// <param name="Revision">The last revision before the cut.</param>
/// <param name="Time">When that revision had been written, at the latest: ms since 1970 UTC, never less than in the mark before.</param>
/// <param name="Bytes">Bytes of changelog ever written up to and with that revision.</param>
internal readonly record struct ChangelogMark(long Revision, long Time, long Bytes);

/// <summary>
/// Keys and small records of the meta family.
/// <code>
/// key 01                  AppliedRecord
/// key 02                  changelog floor: 0 u8 format 1, 1 i64 first revision kept, 9 u32 check over key and the bytes before it
/// key 03, u64 revision BE changelog mark:  0 u8 format 1, 1 i64 time, 9 i64 bytes, 17 u32 check likewise
/// </code>
/// </summary>
internal static class MetaRecord
{
    internal const int FloorBytes = 13;
    internal const int MarkBytes = 21;
    internal const int MarkKeyBytes = 9;
    private const byte Format = 1;
    private const byte MarkPrefix = 3;

    internal static ReadOnlySpan<byte> AppliedKey => [1];

    internal static ReadOnlySpan<byte> FloorKey => [2];

    internal static ReadOnlySpan<byte> MarksEnd => [MarkPrefix + 1];

    internal static void EncodeFloor(Span<byte> target, long floor)
    {
        target[0] = Format;
        BinaryPrimitives.WriteInt64LittleEndian(target[1..], floor);
        BinaryPrimitives.WriteUInt32LittleEndian(target[9..], Check(FloorKey, target[..9]));
    }

    /// <exception cref="StorageCorruptionException">Not what was stored.</exception>
    internal static long DecodeFloor(ReadOnlySpan<byte> record, string directory)
    {
        if (record.Length != FloorBytes || record[0] != Format || BinaryPrimitives.ReadUInt32LittleEndian(record[9..]) != Check(FloorKey, record[..9]))
            throw FormatError.Of(directory, "meta", FloorKey, "(changelog floor) is damaged");
        return BinaryPrimitives.ReadInt64LittleEndian(record[1..]);
    }

    internal static void EncodeMarkKey(Span<byte> target, long revision)
    {
        target[0] = MarkPrefix;
        BinaryPrimitives.WriteInt64BigEndian(target[1..], revision);
    }

    internal static void EncodeMark(Span<byte> target, ReadOnlySpan<byte> key, in ChangelogMark mark)
    {
        target[0] = Format;
        BinaryPrimitives.WriteInt64LittleEndian(target[1..], mark.Time);
        BinaryPrimitives.WriteInt64LittleEndian(target[9..], mark.Bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(target[17..], Check(key, target[..17]));
    }

    /// <exception cref="StorageCorruptionException">Not what was stored.</exception>
    internal static ChangelogMark DecodeMark(ReadOnlySpan<byte> key, ReadOnlySpan<byte> record, string directory)
    {
        bool whole = key.Length == MarkKeyBytes && key[0] == MarkPrefix && record.Length == MarkBytes && record[0] == Format
            && BinaryPrimitives.ReadUInt32LittleEndian(record[17..]) == Check(key, record[..17]);
        if (!whole) throw FormatError.Of(directory, "meta", key, "(changelog mark) is damaged");
        return new ChangelogMark(
            BinaryPrimitives.ReadInt64BigEndian(key[1..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[1..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[9..]));
    }

    private static uint Check(ReadOnlySpan<byte> key, ReadOnlySpan<byte> record)
    {
        Span<byte> parts = stackalloc byte[32];
        key.CopyTo(parts);
        record.CopyTo(parts[key.Length..]);
        return (uint)XxHash3.HashToUInt64(parts[..(key.Length + record.Length)]);
    }
}
