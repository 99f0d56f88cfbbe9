using System.Buffers.Binary;

namespace Regatta.Core;

/// <summary>
/// Reads what <see cref="ByteWriter"/> wrote. Byte strings come out as slices of the source, never as copies. Whatever does not
/// fit is an <see cref="InvalidDataException"/> that names the place.
/// </summary>
internal ref struct ByteReader(ReadOnlyMemory<byte> source, string what)
{
    private readonly ReadOnlySpan<byte> _span = source.Span;

    public int Position { get; private set; }

    public readonly int Remaining => _span.Length - Position;

    public byte Byte()
    {
        Require(1);
        return _span[Position++];
    }

    public uint UInt32()
    {
        Require(sizeof(uint));
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(_span[Position..]);
        Position += sizeof(uint);
        return value;
    }

    public ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = Byte();
            if (shift == 63 && next > 1)
                throw Corrupt("a number is too long");
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
                return value;
        }
    }

    public long Signed() => Sizes.UnZigZag(Varint());

    /// <summary>A revision, version or count: never negative.</summary>
    public long Natural()
    {
        ulong value = Varint();
        return value <= long.MaxValue ? (long)value : throw Corrupt("a number is out of range");
    }

    public ReadOnlyMemory<byte> Bytes()
    {
        ulong length = Varint();
        if (length > (ulong)Remaining)
            throw Corrupt($"{length} bytes are announced and {Remaining} are left");
        ReadOnlyMemory<byte> bytes = source.Slice(Position, (int)length);
        Position += (int)length;
        return bytes;
    }

    public ReadOnlySpan<byte> Fixed(int length)
    {
        Require(length);
        ReadOnlySpan<byte> bytes = _span.Slice(Position, length);
        Position += length;
        return bytes;
    }

    /// <summary>
    /// Number of items to come, of which each takes at least <paramref name="smallest"/> bytes: a garbled number cannot ask for more
    /// memory than so many items would.
    /// </summary>
    public int Count(int smallest)
    {
        ulong count = Varint();
        return count <= (ulong)(Remaining / smallest) ? (int)count : throw Corrupt($"{count} items are announced in {Remaining} bytes");
    }

    /// <summary>A byte whose known bits are given by <paramref name="known"/>; others come from a version that we do not understand.</summary>
    public byte Flags(byte known)
    {
        byte flags = Byte();
        return (flags & ~known) == 0 ? flags : throw Corrupt($"unknown flags 0x{flags:x2}");
    }

    public readonly InvalidDataException Corrupt(string problem) => new($"{what}: {problem} (before byte {Position} of {_span.Length}).");

    private readonly void Require(int count)
    {
        if (count > Remaining)
            throw Corrupt($"{count} more bytes are expected and {Remaining} are left");
    }
}
