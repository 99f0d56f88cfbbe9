namespace Regatta.Raft;

/// <summary>The node that asks needs the snapshot no longer: <c>[format u8 = 1][id, 16 bytes]</c>. The reply is <c>[format u8 = 1]</c>.</summary>
internal readonly record struct SnapshotCloseRequest(Guid Id)
{
    private const byte Format = 1;

    public static byte[] Reply => [Format];

    public byte[] Encode() => [Format, .. Id.ToByteArray(bigEndian: true)];

    /// <exception cref="InvalidDataException">It is malformed.</exception>
    public static SnapshotCloseRequest Decode(ReadOnlySpan<byte> message)
    {
        SnapshotMessageReader reader = new(message, "A request to close a snapshot", Format);
        SnapshotCloseRequest request = new(reader.Guid());
        reader.End();
        return request;
    }

    /// <exception cref="InvalidDataException">It is malformed.</exception>
    public static void DecodeReply(ReadOnlySpan<byte> message) =>
        new SnapshotMessageReader(message, "The reply to a request to close a snapshot", Format).End();
}
