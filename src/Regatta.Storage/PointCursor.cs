using Regatta.Core;

namespace Regatta.Storage;

/// <summary>A range of one key or none: looked up as a point, which the filters make cheaper than a seek.</summary>
internal sealed class PointCursor : ITableCursor
{
    private readonly ReadOnlyMemory<byte> _key;
    private readonly ReadOnlyMemory<byte> _value;
    private bool _pending;

    private PointCursor(ReadOnlyMemory<byte> key, RecordHeader header, ReadOnlyMemory<byte> value, bool found)
    {
        _key = key;
        Header = header;
        _value = value;
        _pending = found;
    }

    public static PointCursor Empty => new(default, default, default, found: false);

    public ReadOnlySpan<byte> Key => _key.Span;

    public RecordHeader Header { get; }

    public ReadOnlySpan<byte> Value => _value.Span;

    public static PointCursor Of(ITableView view, ReadOnlyMemory<byte> key)
    {
        bool found = view.TryGet(key.Span, out RecordHeader header, out ReadOnlyMemory<byte> value);
        return new PointCursor(key, header, value, found);
    }

    public bool MoveNext()
    {
        bool moved = _pending;
        _pending = false;
        return moved;
    }

    public void Dispose() { }
}
