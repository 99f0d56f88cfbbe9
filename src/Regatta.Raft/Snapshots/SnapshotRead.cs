using System.Buffers.Binary;
using System.IO.Hashing;

namespace Regatta.Raft;

/// <summary>Asks for a piece of a file: <c>[format u8 = 1][id, 16 bytes][file i32][offset i64][count i32]</c>.</summary>
/// <param name="File">Its place in the manifest, from 0.</param>
/// <param name="Count">1 to <see cref="MaxCount"/>; the piece must lie in the file.</param>
internal readonly record struct SnapshotReadRequest(Guid Id, int File, long Offset, int Count)
{
    public const int MaxCount = 1 << 20;

    private const byte Format = 1;
    private const int FileAt = 1 + 16;
    private const int OffsetAt = FileAt + sizeof(int);
    private const int CountAt = OffsetAt + sizeof(long);

    public byte[] Encode()
    {
        byte[] message = new byte[CountAt + sizeof(int)];
        message[0] = Format;
        Id.TryWriteBytes(message.AsSpan(1), bigEndian: true, out _);
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(FileAt), File);
        BinaryPrimitives.WriteInt64LittleEndian(message.AsSpan(OffsetAt), Offset);
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(CountAt), Count);
        return message;
    }

    /// <exception cref="InvalidDataException">It is malformed, or asks for nothing or too much.</exception>
    public static SnapshotReadRequest Decode(ReadOnlySpan<byte> message)
    {
        SnapshotMessageReader reader = new(message, "A request to read from a snapshot", Format);
        SnapshotReadRequest request = new(
            reader.Guid(), reader.SmallNatural("the file's number"), reader.Natural("the offset"), reader.SmallNatural("the count"));
        reader.End();
        if (request.Count is 0 or > MaxCount)
            throw reader.Malformed($"{request.Count} bytes are asked for; it may be 1 to {MaxCount}");
        return request;
    }
}

/// <summary>
/// <c>[format u8 = 1][status u8 = 1][XXH3 over the bytes u64][bytes]</c>; or <c>[format u8 = 1][status u8 = 2]</c>: the snapshot is not here (any
/// more).
/// </summary>
internal static class SnapshotReadReply
{
    private const byte Format = 1;
    private const byte Data = 1;
    private const byte GoneStatus = 2;
    private const int HashAt = 2;
    private const int BytesAt = HashAt + sizeof(ulong);

    public static byte[] Gone => [Format, GoneStatus];

    /// <summary>A reply with room for the bytes, see <see cref="Bytes"/>; to be sealed when they are there.</summary>
    public static byte[] New(int count)
    {
        byte[] message = GC.AllocateUninitializedArray<byte>(BytesAt + count);
        message[0] = Format;
        message[1] = Data;
        return message;
    }

    public static Memory<byte> Bytes(byte[] message) => message.AsMemory(BytesAt);

    public static void Seal(byte[] message) =>
        BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(HashAt), XxHash3.HashToUInt64(message.AsSpan(BytesAt)));

    /// <returns>Exactly the bytes that were asked for, a slice of the message; null: the snapshot is gone.</returns>
    /// <exception cref="InvalidDataException">It is malformed, or the bytes are not those that were sent.</exception>
    public static ReadOnlyMemory<byte>? Decode(ReadOnlyMemory<byte> message, int count)
    {
        SnapshotMessageReader reader = new(message.Span, "The reply to a request to read from a snapshot", Format);
        byte status = reader.Byte();
        if (status == GoneStatus)
        {
            reader.End();
            return null;
        }

        if (status != Data)
            throw reader.Malformed($"status {status} is not known to this version");
        ulong hash = reader.UInt64();
        if (reader.Remaining != count)
            throw reader.Malformed($"it has {reader.Remaining} bytes, and {count} were asked for");
        ReadOnlyMemory<byte> bytes = message[BytesAt..];
        return XxHash3.HashToUInt64(bytes.Span) == hash ? bytes : throw reader.Malformed("its checksum does not match");
    }
}
