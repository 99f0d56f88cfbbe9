namespace Regatta.Core;

/// <summary>A range on disk: kind, start, and the end where there is one. Shared by Raft entries and changelog records.</summary>
internal static class KeyRangeEncoding
{
    public static void Write(ByteWriter writer, KeyRange range)
    {
        writer.Byte((byte)range.Kind);
        writer.Bytes(range.Start.Span);
        if (range.Kind == KeyRangeKind.Interval)
            writer.Bytes(range.End.Span);
    }

    public static KeyRange Read(ref ByteReader reader)
    {
        byte kind = reader.Byte();
        return (KeyRangeKind)kind switch
        {
            KeyRangeKind.Single => KeyRange.Single(reader.Bytes()),
            KeyRangeKind.From => KeyRange.From(reader.Bytes()),
            KeyRangeKind.Interval => KeyRange.Interval(reader.Bytes(), reader.Bytes()),
            _ => throw reader.Corrupt($"unknown kind of range {kind}"),
        };
    }

    public static int Size(KeyRange range) =>
        1 + Sizes.Bytes(range.Start) + (range.Kind == KeyRangeKind.Interval ? Sizes.Bytes(range.End) : 0);
}
