namespace Regatta.Core;

/// <summary>One key that has been read already, seen as a view of that key alone.</summary>
internal sealed class PointView(PointRead read) : ITableView
{
    public long Revision => read.Revision;

    public bool TryGetHeader(ReadOnlySpan<byte> key, out RecordHeader header)
    {
        header = read.Header;
        return read.Found;
    }

    public bool TryGet(ReadOnlySpan<byte> key, out RecordHeader header, out ReadOnlyMemory<byte> value)
    {
        header = read.Header;
        value = read.Value;
        return read.Found;
    }

    public ITableCursor Scan(KeyRange range) => throw new InvalidOperationException("A point read answers for one key only.");

    public void Dispose()
    {
        // Nothing is held.
    }
}
