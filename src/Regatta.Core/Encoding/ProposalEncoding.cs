namespace Regatta.Core;

/// <summary>
/// One command on its way to the node that leads: <c>[format 1]</c>, then the command as in an entry (layout: <c>CommandEncoding</c>).
/// Without the header of an entry, whose commands are counted. Pure and thread-safe.
/// </summary>
public static class ProposalEncoding
{
    internal const byte Format = 1;

    /// <summary>Keys and values are copied, into an array that is made in its final size.</summary>
    /// <exception cref="ArgumentException">The command is of a type that has no form in the log.</exception>
    public static ReadOnlyMemory<byte> Encode(TableCommand command)
    {
        var writer = new ByteWriter(checked((int)(1 + CommandSize.Of(command))));
        writer.Byte(Format);
        CommandEncoding.Write(writer, command);
        return writer.Detach();
    }

    /// <summary>Keys and values are slices of the bytes, which must stay as they are for as long as the command is used.</summary>
    /// <exception cref="InvalidDataException">The bytes are cut off, garbled, of an unknown format, or more than one command.</exception>
    public static TableCommand Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes, "Proposal");
        byte format = reader.Byte();
        if (format != Format)
            throw reader.Corrupt($"format {format} is unknown; a newer version may have written it");
        TableCommand command = CommandEncoding.ReadBody(ref reader, CommandEncoding.ReadKind(ref reader));
        return reader.Remaining == 0 ? command : throw reader.Corrupt($"{reader.Remaining} bytes are left behind the command");
    }
}
