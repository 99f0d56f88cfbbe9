using System.Buffers.Binary;

namespace Regatta.Raft;

/// <summary>Keys of the log database: <c>[group i64 BE][index i64 BE]</c>, so that a group's records lie together and in order. Index 0 is its hard state.</summary>
internal static class LogKey
{
    public const int Bytes = 16;

    public const long HardState = 0;

    /// <summary>Not a group: its record 0 is the number of the last round, see <see cref="SyncWitness"/>.</summary>
    public const long Rounds = 0;

    public static void Write(Span<byte> key, long group, long index)
    {
        BinaryPrimitives.WriteInt64BigEndian(key, group);
        BinaryPrimitives.WriteInt64BigEndian(key[8..], index);
    }

    public static byte[] Of(long group, long index)
    {
        byte[] key = new byte[Bytes];
        Write(key, group, index);
        return key;
    }

    public static long Group(ReadOnlySpan<byte> key) => BinaryPrimitives.ReadInt64BigEndian(key);

    public static long Index(ReadOnlySpan<byte> key) => BinaryPrimitives.ReadInt64BigEndian(key[8..]);
}
