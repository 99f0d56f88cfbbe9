using System.Buffers.Binary;
using Regatta.Core;

namespace Regatta.Raft;

/// <summary>Asks for a snapshot of the group that holds enough to be of use: <c>[format u8 = 1][least index i64][least revision i64]</c>.</summary>
/// <param name="LeastIndex">Of the log that the table is made from.</param>
/// <param name="LeastRevision">Of the table: where its log is that of another site, the index says nothing to who asks.</param>
internal readonly record struct SnapshotOpenRequest(long LeastIndex, long LeastRevision = 0)
{
    private const byte Format = 1;
    private const int RevisionAt = 1 + sizeof(long);

    public bool IsMetBy(AppliedState state) => state.Index >= LeastIndex && state.Revision >= LeastRevision;

    public byte[] Encode()
    {
        byte[] message = new byte[RevisionAt + sizeof(long)];
        message[0] = Format;
        BinaryPrimitives.WriteInt64LittleEndian(message.AsSpan(1), LeastIndex);
        BinaryPrimitives.WriteInt64LittleEndian(message.AsSpan(RevisionAt), LeastRevision);
        return message;
    }

    /// <exception cref="InvalidDataException">It is malformed.</exception>
    public static SnapshotOpenRequest Decode(ReadOnlySpan<byte> message)
    {
        SnapshotMessageReader reader = new(message, "A request to open a snapshot", Format);
        SnapshotOpenRequest request = new(reader.Natural("the least index"), reader.Natural("the least revision"));
        reader.End();
        return request;
    }
}

/// <summary>What became of a request for a snapshot. Numbers are on the wire and never change.</summary>
internal enum SnapshotOpenStatus : byte
{
    Ready = 1,

    /// <summary>The node serves as many as it may: later.</summary>
    Busy = 2,

    /// <summary>The node itself has not applied as much as is wanted: later, or another node.</summary>
    Behind = 3,
}

/// <summary>
/// <c>[format u8 = 1][status u8]</c>; if the status is <see cref="SnapshotOpenStatus.Ready"/>, the manifest follows.
/// </summary>
/// <param name="Manifest">Null unless the snapshot is ready.</param>
internal readonly record struct SnapshotOpenReply(SnapshotOpenStatus Status, SnapshotManifest? Manifest)
{
    private const byte Format = 1;

    public byte[] Encode()
    {
        using MemoryStream message = new();
        using BinaryWriter writer = new(message);
        writer.Write(Format);
        writer.Write((byte)Status);
        Manifest?.WriteTo(writer);
        return message.ToArray();
    }

    /// <exception cref="InvalidDataException">It is malformed.</exception>
    public static SnapshotOpenReply Decode(ReadOnlySpan<byte> message)
    {
        SnapshotMessageReader reader = new(message, "The reply to a request for a snapshot", Format);
        SnapshotOpenStatus status = (SnapshotOpenStatus)reader.Byte();
        if (status is not (SnapshotOpenStatus.Ready or SnapshotOpenStatus.Busy or SnapshotOpenStatus.Behind))
            throw reader.Malformed($"status {(byte)status} is not known to this version");
        SnapshotManifest? manifest = status == SnapshotOpenStatus.Ready ? SnapshotManifest.ReadFrom(ref reader) : null;
        reader.End();
        return new SnapshotOpenReply(status, manifest);
    }
}
