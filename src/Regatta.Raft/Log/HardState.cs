using System.Buffers.Binary;
using DotNext.Net.Cluster;

namespace Regatta.Raft;

/// <summary>
/// What a group must remember besides its entries. Stored under index 0 as <c>[checksum u64 LE][format u8 = 1][term i64 LE][cut index i64
/// LE][cut term i64 LE][voted u8][vote, 28 bytes if voted]</c>.
/// </summary>
/// <param name="Term">Raft's currentTerm.</param>
/// <param name="Vote">Raft's votedFor in that term; null: none.</param>
/// <param name="CutIndex">Entries up to this one are no longer in the log; 0: all are there.</param>
/// <param name="CutTerm">Term of the entry at the cut, needed to match the entry behind it.</param>
internal readonly record struct HardState(long Term, ClusterMemberId? Vote, long CutIndex, long CutTerm)
{
    private const byte Format = 1;
    private const int FormatAt = sizeof(ulong);
    private const int TermAt = FormatAt + 1;
    private const int CutIndexAt = TermAt + sizeof(long);
    private const int CutTermAt = CutIndexAt + sizeof(long);
    private const int VotedAt = CutTermAt + sizeof(long);
    private const int VoteAt = VotedAt + 1;

    public byte[] Encode(long group)
    {
        byte[] record = new byte[Vote is null ? VoteAt : VoteAt + ClusterMemberId.Size];
        record[FormatAt] = Format;
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(TermAt), Term);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(CutIndexAt), CutIndex);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(CutTermAt), CutTerm);
        if (Vote is { } vote)
        {
            record[VotedAt] = 1;
            vote.Format(record.AsSpan(VoteAt));
        }

        LogRecord.Seal(record, group, LogKey.HardState);
        return record;
    }

    /// <summary>Null when the record is sound, else what is wrong with it.</summary>
    public static string? Decode(ReadOnlySpan<byte> record, long group, out HardState state)
    {
        state = default;
        if (record.Length < VoteAt || BinaryPrimitives.ReadUInt64LittleEndian(record) != LogRecord.Checksum(record, group, LogKey.HardState))
            return "its checksum does not match";
        if (record[FormatAt] != Format)
            return $"its format {record[FormatAt]} is not known to this version";
        bool voted = record[VotedAt] == 1;
        if (record.Length != (voted ? VoteAt + ClusterMemberId.Size : VoteAt))
            return "its length is wrong";
        state = new HardState(
            BinaryPrimitives.ReadInt64LittleEndian(record[TermAt..]),
            voted ? new ClusterMemberId(record[VoteAt..]) : null,
            BinaryPrimitives.ReadInt64LittleEndian(record[CutIndexAt..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[CutTermAt..]));
        return null;
    }
}
