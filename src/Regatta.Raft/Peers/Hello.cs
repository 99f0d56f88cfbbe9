using System.Buffers.Binary;
using System.Text;

namespace Regatta.Raft;

/// <summary>
/// What each side of a connection first says of itself: [magic u32][version u16][site u16 + UTF-8][history u8 + 16][own id i64][expected id i64][store id 16].
/// Magic and version stay in front in all versions.
/// </summary>
/// <param name="Expected">Whom it takes the other side for.</param>
/// <param name="History">None before the site is founded.</param>
internal sealed record Hello(string Site, Guid? History, long NodeId, long Expected, Guid StoreId)
{
    public const uint Magic = 0x41544752; // "RGTA"
    public const ushort Version = 2;
    public const int MaxSiteBytes = 512;
    private const int GuidBytes = 16;
    private const int FixedBytes = 4 + 2 + 2 + 1 + GuidBytes + 8 + 8 + GuidBytes;

    public byte[] Encode()
    {
        byte[] site = Encoding.UTF8.GetBytes(Site);
        byte[] bytes = new byte[FixedBytes + site.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(4), Version);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(6), (ushort)site.Length);
        site.CopyTo(bytes, 8);
        Span<byte> rest = bytes.AsSpan(8 + site.Length);
        rest[0] = History is null ? (byte)0 : (byte)1;
        _ = (History ?? Guid.Empty).TryWriteBytes(rest[1..], bigEndian: true, out _);
        BinaryPrimitives.WriteInt64LittleEndian(rest[17..], NodeId);
        BinaryPrimitives.WriteInt64LittleEndian(rest[25..], Expected);
        _ = StoreId.TryWriteBytes(rest[33..], bigEndian: true, out _);
        return bytes;
    }

    /// <summary>The other side's words, or why they cannot be understood.</summary>
    public static (Hello? Hello, string? Fault) Decode(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 6 || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic)
            return (null, "The other side does not speak the protocol of Regatta's nodes.");
        ushort version = BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]);
        if (version != Version)
            return (null, $"One side speaks version {version} of the protocol between nodes, the other version {Version}.");
        if (bytes.Length < FixedBytes || bytes.Length != FixedBytes + BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]) || bytes[^(FixedBytes - 8)] > 1)
            return (null, "The other side's first words are damaged.");
        ReadOnlySpan<byte> rest = bytes[^(FixedBytes - 8)..];
        return (
            new Hello(
                Encoding.UTF8.GetString(bytes[8..^rest.Length]),
                rest[0] == 0 ? null : new Guid(rest.Slice(1, GuidBytes), bigEndian: true),
                BinaryPrimitives.ReadInt64LittleEndian(rest[17..]),
                BinaryPrimitives.ReadInt64LittleEndian(rest[25..]),
                new Guid(rest.Slice(33, GuidBytes), bigEndian: true)),
            null);
    }
}
