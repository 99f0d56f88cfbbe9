namespace Regatta.Core;

/// <summary>
/// A table's records at one moment, in key order. Implementations: RocksDB (Storage), memory (tests), and the overlay of what a step
/// that is still being applied has written. Not thread-safe.
/// </summary>
public interface ITableView : IDisposable
{
    /// <summary>The revision whose state this view shows.</summary>
    long Revision { get; }

    /// <summary>Looks one key up without copying its value. False if it does not exist.</summary>
    bool TryGetHeader(ReadOnlySpan<byte> key, out RecordHeader header);

    /// <summary>Looks one key up; the value is copied out and stays valid.</summary>
    bool TryGet(ReadOnlySpan<byte> key, out RecordHeader header, out ReadOnlyMemory<byte> value);

    /// <summary>
    /// All records of a range, in key order; none for an inverted interval, at most one for a single key. The cursor must be disposed
    /// before the view.
    /// </summary>
    ITableCursor Scan(KeyRange range);
}

/// <summary>Walks a range. Spans are valid until the next call of <see cref="MoveNext"/> or the end of the cursor.</summary>
public interface ITableCursor : IDisposable
{
    /// <summary>On to the next record, at first to the first one; false behind the last. Not called again after that.</summary>
    bool MoveNext();

    ReadOnlySpan<byte> Key { get; }

    RecordHeader Header { get; }

    ReadOnlySpan<byte> Value { get; }
}
