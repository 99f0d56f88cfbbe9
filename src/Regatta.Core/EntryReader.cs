using System.Diagnostics.CodeAnalysis;

namespace Regatta.Core;

/// <summary>
/// Reads the commands of one entry, one after the other. Keys and values are slices of the payload, which must stay as it is for
/// as long as they are used. An empty payload is an entry without commands.
/// </summary>
/// <remarks>Every member that reads throws <see cref="InvalidDataException"/> on a payload that is cut off, garbled or of an unknown format.</remarks>
public ref struct EntryReader
{
    private ByteReader _reader;
    private int _read;

    public EntryReader(ReadOnlyMemory<byte> payload)
    {
        _reader = new ByteReader(payload, "Raft entry");
        if (payload.IsEmpty)
            return;
        byte format = _reader.Byte();
        if (format != EntryWriter.Format)
            throw _reader.Corrupt($"format {format} is unknown; a newer version may have written it");
        uint count = _reader.UInt32();
        if (count > _reader.Remaining)
            throw _reader.Corrupt($"{count} commands are announced in {_reader.Remaining} bytes");
        Count = (int)count;
    }

    /// <summary>Commands in the entry.</summary>
    public int Count { get; }

    /// <summary>The next command; false behind the last one.</summary>
    public bool TryRead([NotNullWhen(true)] out TableCommand? command)
    {
        command = TryReadKind(out CommandKind kind) ? CommandEncoding.ReadBody(ref _reader, kind) : null;
        return command is not null;
    }

    /// <summary>The revision of a table behind the commands that are left, read without applying them.</summary>
    /// <param name="incarnation">The table's.</param>
    /// <param name="revision">The table's in front of the next command.</param>
    public long RevisionBehind(Incarnation incarnation, long revision)
    {
        while (TryRead(out TableCommand? command))
            revision += command is ReplicatedBatch batch ? batch.Follows(incarnation, revision) ? batch.Commands.Length : 0 : 1;
        return revision;
    }

    /// <summary>The next command's kind; one of the two members below must follow.</summary>
    internal bool TryReadKind(out CommandKind kind)
    {
        kind = default;
        if (_read == Count)
        {
            if (_reader.Remaining > 0)
                throw _reader.Corrupt($"{_reader.Remaining} bytes are left behind the last command");
            return false;
        }

        kind = CommandEncoding.ReadKind(ref _reader);
        _read++;
        return true;
    }

    internal PutFields ReadPut() => CommandEncoding.ReadPutFields(ref _reader);

    internal TableCommand ReadBody(CommandKind kind) => CommandEncoding.ReadBody(ref _reader, kind);
}
