using System.Buffers.Binary;
using System.IO.Hashing;

namespace Regatta.Core;

/// <summary>
/// Hash over all effects of a table's history up to one revision (128 bit, not cryptographic). Two nodes of any sites with the
/// same hash at the same revision of the same incarnation have the same history.
/// </summary>
public readonly record struct ChainHash(UInt128 Value)
{
    /// <summary>Length of <see cref="WriteTo"/>'s output.</summary>
    public const int Bytes = 16;

    /// <summary>What the hash of revision 1 is chained to: no two incarnations share a history.</summary>
    public static ChainHash Seed(Incarnation incarnation)
    {
        Span<byte> seed = stackalloc byte[16 + sizeof(long)];
        incarnation.History.TryWriteBytes(seed, bigEndian: true, out _);
        BinaryPrimitives.WriteInt64LittleEndian(seed[16..], incarnation.Number);
        return new ChainHash(XxHash128.HashToUInt128(seed));
    }

    /// <summary>The next link: over the previous hash, the revision and the bytes of what was done.</summary>
    public static ChainHash Next(ChainHash previous, long revision, ReadOnlySpan<byte> operations)
    {
        Span<byte> head = stackalloc byte[Bytes + sizeof(long)];
        previous.WriteTo(head);
        BinaryPrimitives.WriteInt64LittleEndian(head[Bytes..], revision);
        var hash = new XxHash128();
        hash.Append(head);
        hash.Append(operations);
        return new ChainHash(hash.GetCurrentHashAsUInt128());
    }

    /// <summary>Little endian; the destination needs room for <see cref="Bytes"/>.</summary>
    public void WriteTo(Span<byte> destination) => BinaryPrimitives.WriteUInt128LittleEndian(destination, Value);

    /// <summary>What <see cref="WriteTo"/> wrote.</summary>
    public static ChainHash ReadFrom(ReadOnlySpan<byte> source) => new(BinaryPrimitives.ReadUInt128LittleEndian(source));

    public override string ToString() => Value.ToString("x32");
}
