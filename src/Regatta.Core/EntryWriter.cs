using System.Buffers.Binary;

namespace Regatta.Core;

/// <summary>
/// Builds the payload of one Raft entry out of the commands that travel in it: <c>[format 1][count u32 LE]</c>, then the commands
/// (layout: <c>CommandEncoding</c>). Used again and again by the batcher of one group; not thread-safe.
/// </summary>
public sealed class EntryWriter
{
    internal const byte Format = 1;

    /// <summary>Bytes of an entry without commands.</summary>
    public const int HeaderBytes = 1 + sizeof(uint);

    private readonly ByteWriter _writer = new(4096);

    public EntryWriter() => WriteHeader();

    /// <summary>Commands appended since the last <see cref="Reset"/>.</summary>
    public int Count { get; private set; }

    /// <summary>Length of the payload as it stands, the header included.</summary>
    public int Bytes => _writer.Length;

    /// <summary>Bytes that <see cref="Append"/> will add for this command: lets a batcher close an entry before it gets too large.</summary>
    public static long Measure(TableCommand command) => CommandSize.Of(command);

    /// <summary>Adds a command; its keys and values are copied.</summary>
    /// <exception cref="ArgumentException">The command is of a type that has no form in the log.</exception>
    public void Append(TableCommand command)
    {
        CommandEncoding.Write(_writer, command);
        Count++;
    }

    /// <summary>The finished payload, in an array of its own.</summary>
    public ReadOnlyMemory<byte> ToPayload()
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_writer.Patch(1, sizeof(uint)), (uint)Count);
        return _writer.Written.ToArray();
    }

    /// <summary>Forgets the commands; the buffer stays.</summary>
    public void Reset()
    {
        _writer.Reset();
        Count = 0;
        WriteHeader();
    }

    private void WriteHeader()
    {
        _writer.Byte(Format);
        _writer.UInt32(0);
    }
}
