using System.Buffers.Binary;
using System.IO.Hashing;
using Regatta.Core;

namespace Regatta.Storage.Formats;

/// <summary>
/// How far a table has come, as stored in meta with every write and in the table's <c>FLUSHED</c> file:
/// <code>
/// 0   u8    format, 1
/// 1   i64   Raft index       (integers are little-endian)
/// 9   i64   Raft term
/// 17  i64   table revision
/// 25  16 B  incarnation: history id (big-endian, as it is printed)
/// 41  i64   incarnation: number
/// 49  u128  chain hash
/// 65  u64   check over the bytes before it
/// </code>
/// The format number is that of the whole table: another layout of any family means another number here.
/// </summary>
internal static class AppliedRecord
{
    internal const int Bytes = 73;
    private const byte Format = 1;
    private const int CheckOffset = 65;

    internal static void Encode(Span<byte> target, in AppliedState state)
    {
        target[0] = Format;
        BinaryPrimitives.WriteInt64LittleEndian(target[1..], state.Index);
        BinaryPrimitives.WriteInt64LittleEndian(target[9..], state.Term);
        BinaryPrimitives.WriteInt64LittleEndian(target[17..], state.Revision);
        _ = state.Incarnation.History.TryWriteBytes(target[25..], bigEndian: true, out _);
        BinaryPrimitives.WriteInt64LittleEndian(target[41..], state.Incarnation.Number);
        BinaryPrimitives.WriteUInt128LittleEndian(target[49..], state.Chain.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(target[CheckOffset..], XxHash3.HashToUInt64(target[..CheckOffset]));
    }

    /// <summary>False: these bytes are no such record.</summary>
    internal static bool TryDecode(ReadOnlySpan<byte> record, out AppliedState state)
    {
        state = default;
        if (record.Length != Bytes || record[0] != Format) return false;
        if (BinaryPrimitives.ReadUInt64LittleEndian(record[CheckOffset..]) != XxHash3.HashToUInt64(record[..CheckOffset])) return false;
        state = new AppliedState(
            BinaryPrimitives.ReadInt64LittleEndian(record[1..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[9..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[17..]),
            new Incarnation(new Guid(record.Slice(25, 16), bigEndian: true), BinaryPrimitives.ReadInt64LittleEndian(record[41..])),
            new ChainHash(BinaryPrimitives.ReadUInt128LittleEndian(record[49..])));
        return true;
    }
}
