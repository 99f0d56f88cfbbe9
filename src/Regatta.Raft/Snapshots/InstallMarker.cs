using System.Buffers.Binary;
using System.IO.Hashing;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// Says, while it is on disk, that a fetched state becomes a table's, whatever happens: <c>[XXH3 over the rest u64][format u8 = 1][index i64][term
/// i64][leader's term i64]</c>.
/// </summary>
/// <param name="Index">Of the last entry in the state.</param>
/// <param name="Term">Of that entry.</param>
/// <param name="LeaderTerm">The group has come to this term at least.</param>
internal readonly record struct InstallMarker(long Index, long Term, long LeaderTerm)
{
    private const byte Format = 1;
    private const int FormatAt = sizeof(ulong);
    private const int IndexAt = FormatAt + 1;
    private const int TermAt = IndexAt + sizeof(long);
    private const int LeaderTermAt = TermAt + sizeof(long);
    private const int Length = LeaderTermAt + sizeof(long);

    /// <summary>Durable when it returns.</summary>
    public void Write(string path) => DurableFile.Replace(path, Encode());

    /// <summary>Null: nothing is being installed.</summary>
    /// <exception cref="InvalidDataException">It is damaged, or of a newer version.</exception>
    public static InstallMarker? Read(string path)
    {
        if (!File.Exists(path))
            return null;
        if (Decode(File.ReadAllBytes(path), out InstallMarker marker) is not { } fault)
            return marker;
        throw new InvalidDataException(
            $"The file '{path}' is damaged: {fault}. It says which state was being installed; whether the table's log fits its state cannot be told "
            + "without it. Nothing was changed. Restore the node's data directory from a copy, or move it away and let the node start empty if its data "
            + "is held elsewhere.");
    }

    /// <summary>Durable when it returns; no error if there is none.</summary>
    public static void Remove(string path)
    {
        if (!File.Exists(path))
            return;
        File.Delete(path);
        DurableFile.SyncDirectory(Path.GetDirectoryName(path)!);
    }

    public byte[] Encode()
    {
        byte[] record = new byte[Length];
        record[FormatAt] = Format;
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(IndexAt), Index);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(TermAt), Term);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(LeaderTermAt), LeaderTerm);
        BinaryPrimitives.WriteUInt64LittleEndian(record, XxHash3.HashToUInt64(record.AsSpan(FormatAt)));
        return record;
    }

    /// <summary>Null when the record is sound, else what is wrong with it.</summary>
    public static string? Decode(ReadOnlySpan<byte> record, out InstallMarker marker)
    {
        marker = default;
        if (record.Length < IndexAt || BinaryPrimitives.ReadUInt64LittleEndian(record) != XxHash3.HashToUInt64(record[FormatAt..]))
            return "its checksum does not match";
        if (record[FormatAt] != Format)
            return $"its format {record[FormatAt]} is not known to this version";
        if (record.Length != Length)
            return "its length is wrong";
        marker = new InstallMarker(
            BinaryPrimitives.ReadInt64LittleEndian(record[IndexAt..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[TermAt..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[LeaderTermAt..]));
        return null;
    }
}
