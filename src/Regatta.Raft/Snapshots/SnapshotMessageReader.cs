using System.Buffers.Binary;
using System.Text;

namespace Regatta.Raft;

/// <summary>Takes a message apart, little-endian. What does not fit is an <see cref="InvalidDataException"/> that names the message and the place.</summary>
internal ref struct SnapshotMessageReader
{
    private readonly ReadOnlySpan<byte> _message;
    private readonly string _name;
    private int _position;

    /// <param name="name">Begins every sentence about what is wrong: "A request to ...".</param>
    /// <param name="format">The only format that this version knows.</param>
    public SnapshotMessageReader(ReadOnlySpan<byte> message, string name, byte format)
    {
        _message = message;
        _name = name;
        byte found = Byte();
        if (found != format)
            throw Malformed($"format {found} is not known to this version");
    }

    public readonly int Remaining => _message.Length - _position;

    public byte Byte() => Fixed(1)[0];

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Fixed(sizeof(int)));

    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Fixed(sizeof(long)));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Fixed(sizeof(ulong)));

    public UInt128 UInt128() => BinaryPrimitives.ReadUInt128LittleEndian(Fixed(16));

    /// <summary>Big-endian, as it is printed.</summary>
    public Guid Guid() => new(Fixed(16), bigEndian: true);

    /// <summary>An index, term, count or length: never negative.</summary>
    public long Natural(string what) => Int64() is >= 0 and var value ? value : throw Malformed($"{what} is negative");

    public int SmallNatural(string what) => Int32() is >= 0 and var value ? value : throw Malformed($"{what} is negative");

    /// <summary>A length of one byte, and as many ASCII characters.</summary>
    public string Text() => Encoding.ASCII.GetString(Fixed(Byte()));

    public readonly void End()
    {
        if (Remaining > 0)
            throw Malformed($"{Remaining} bytes follow where it should end");
    }

    public readonly InvalidDataException Malformed(string fault) => new($"{_name} is malformed: {fault} (before byte {_position} of {_message.Length}).");

    private ReadOnlySpan<byte> Fixed(int length)
    {
        if (length > Remaining)
            throw Malformed($"{length} more bytes are expected and {Remaining} are left");
        _position += length;
        return _message.Slice(_position - length, length);
    }
}
