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
        {
            revision = command switch
            {
                ReplicatedBatch batch => batch.Follows(incarnation, revision) ? revision + batch.Commands.Length : revision,
                InstallCommand install => install.Advances(incarnation, revision) ? install.Revision : revision,
                _ => revision + 1,
            };
        }

        return revision;
    }

    /// <summary>The installation that an entry is; null: it is an entry of another kind. A look at one byte where it is not.</summary>
    /// <exception cref="InvalidDataException">The payload is garbled, or has more commands than the installation.</exception>
    public static InstallCommand? ReadInstall(ReadOnlyMemory<byte> payload)
    {
        if (payload.Length <= EntryWriter.HeaderBytes || payload.Span[EntryWriter.HeaderBytes] != (byte)CommandKind.Install)
            return null;
        EntryReader reader = new(payload);
        reader.TryRead(out TableCommand? command);
        return reader.TryRead(out _) ? throw new InvalidDataException("Raft entry: an installation is not alone in it.") : command as InstallCommand;
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
