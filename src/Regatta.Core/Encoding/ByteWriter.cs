using System.Buffers.Binary;

namespace Regatta.Core;

/// <summary>A byte buffer that grows and is used again. Not thread-safe.</summary>
internal sealed class ByteWriter(int initialCapacity)
{
    /// <summary>A buffer that one huge value has blown up is given back; below this it is worth keeping.</summary>
    private const int KeptCapacity = 8 << 20;

    private byte[] _buffer = new byte[initialCapacity];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    public void Reset()
    {
        Length = 0;
        if (_buffer.Length > KeptCapacity)
            _buffer = new byte[initialCapacity];
    }

    /// <summary>The written bytes, without a copy where they fill the buffer; the writer must not be used any more.</summary>
    public ReadOnlyMemory<byte> Detach() => _buffer.AsMemory(0, Length);

    /// <summary>Room for <paramref name="count"/> bytes that the caller fills before the next call of any member.</summary>
    public Span<byte> Take(int count)
    {
        if (count > _buffer.Length - Length)
            Grow(count);
        Span<byte> room = _buffer.AsSpan(Length, count);
        Length += count;
        return room;
    }

    /// <summary>Bytes written before, to fill in what is known only afterwards.</summary>
    public Span<byte> Patch(int start, int count) => _buffer.AsSpan(0, Length).Slice(start, count);

    public void Byte(byte value) => Take(1)[0] = value;

    public void UInt32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Take(sizeof(uint)), value);

    /// <summary>Seven bits a byte, lowest first: lengths and revisions are mostly small.</summary>
    public void Varint(ulong value)
    {
        Span<byte> room = Take(Sizes.Varint(value));
        for (int i = 0; i < room.Length - 1; i++, value >>= 7)
            room[i] = (byte)(value | 0x80);
        room[^1] = (byte)value;
    }

    public void Signed(long value) => Varint(Sizes.ZigZag(value));

    public void Bytes(ReadOnlySpan<byte> value)
    {
        Varint((uint)value.Length);
        value.CopyTo(Take(value.Length));
    }

    private void Grow(int count)
    {
        long needed = (long)Length + count;
        if (needed > Array.MaxLength)
            throw new InvalidOperationException($"A record of {needed} bytes is larger than memory can hold in one piece.");
        Array.Resize(ref _buffer, (int)Math.Min(Array.MaxLength, Math.Max(needed, 2L * _buffer.Length)));
    }
}
