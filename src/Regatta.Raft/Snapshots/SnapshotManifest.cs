using Regatta.Core;

namespace Regatta.Raft;

/// <summary>What a snapshot is made of.</summary>
/// <param name="Id">Random: names these very files on the node that serves them.</param>
/// <param name="Applied">The state that they hold.</param>
/// <param name="LeaderTerm">The term of the serving node when it was asked; at least that of <paramref name="Applied"/>.</param>
internal sealed record SnapshotManifest(Guid Id, AppliedState Applied, long LeaderTerm, IReadOnlyList<SnapshotFile> Files)
{
    public long Bytes => Files.Sum(file => file.Bytes);

    /// <summary>
    /// Layout, little-endian: <c>[id, 16 bytes][index i64][term i64][revision i64][incarnation: history, 16 bytes; number i64][chain
    /// u128][leader's term i64][count i32]</c>, then for each file <c>[length of name u8][name][bytes i64][hash u128]</c>.
    /// </summary>
    public void WriteTo(BinaryWriter writer)
    {
        WriteGuid(writer, Id);
        writer.Write(Applied.Index);
        writer.Write(Applied.Term);
        writer.Write(Applied.Revision);
        WriteGuid(writer, Applied.Incarnation.History);
        writer.Write(Applied.Incarnation.Number);
        WriteUInt128(writer, Applied.Chain.Value);
        writer.Write(LeaderTerm);
        writer.Write(Files.Count);
        foreach (SnapshotFile file in Files)
        {
            writer.Write((byte)file.Name.Length);
            foreach (char letter in file.Name)
                writer.Write((byte)letter);
            writer.Write(file.Bytes);
            WriteUInt128(writer, file.Hash);
        }
    }

    /// <exception cref="InvalidDataException">A field is missing or cannot be.</exception>
    public static SnapshotManifest ReadFrom(ref SnapshotMessageReader reader)
    {
        Guid id = reader.Guid();
        AppliedState applied = new(
            reader.Natural("the index"), reader.Natural("the term"), reader.Natural("the revision"),
            new Incarnation(reader.Guid(), reader.Natural("the incarnation")), new ChainHash(reader.UInt128()));
        long leaderTerm = reader.Natural("the leader's term");
        if (leaderTerm < applied.Term)
            throw reader.Malformed($"the leader's term {leaderTerm} is lower than the state's, {applied.Term}");
        return new SnapshotManifest(id, applied, leaderTerm, ReadFiles(ref reader));
    }

    private static List<SnapshotFile> ReadFiles(ref SnapshotMessageReader reader)
    {
        int count = reader.SmallNatural("the number of files");
        if (count == 0)
            throw reader.Malformed("it has no files");
        List<SnapshotFile> files = [];
        HashSet<string> names = [];
        long total = 0;
        for (int i = 0; i < count; i++)
        {
            SnapshotFile file = new(reader.Text(), reader.Natural("a file's length"), reader.UInt128());
            if (!SnapshotFile.IsPlain(file.Name))
                throw reader.Malformed($"'{file.Name}' is not a plain file name");
            if (!names.Add(file.Name))
                throw reader.Malformed($"file '{file.Name}' is there twice");
            if (file.Bytes > long.MaxValue - total)
                throw reader.Malformed("its files are longer than a number can say");
            total += file.Bytes;
            files.Add(file);
        }

        return files;
    }

    private static void WriteGuid(BinaryWriter writer, Guid value) => writer.Write(value.ToByteArray(bigEndian: true));

    private static void WriteUInt128(BinaryWriter writer, UInt128 value)
    {
        writer.Write((ulong)value);
        writer.Write((ulong)(value >> 64));
    }
}
