namespace Regatta.Core;

/// <summary>A single key as a cursor: a point read is cheaper than a scan that ends after one step.</summary>
internal sealed class PointCursor(ITableView view, ReadOnlyMemory<byte> key, bool withValue) : ITableCursor
{
    private bool _moved;
    private RecordHeader _header;
    private ReadOnlyMemory<byte> _value;

    public ReadOnlySpan<byte> Key => key.Span;

    public RecordHeader Header => _header;

    public ReadOnlySpan<byte> Value => _value.Span;

    public bool MoveNext()
    {
        if (_moved)
            return false;
        _moved = true;
        return withValue ? view.TryGet(key.Span, out _header, out _value) : view.TryGetHeader(key.Span, out _header);
    }

    public void Dispose()
    {
        // Nothing is held.
    }
}
