using Regatta.Core;
using Regatta.Storage.Formats;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>Walks a range of user keys; keys and values are read where RocksDB has them.</summary>
internal sealed unsafe class RangeCursor : ITableCursor
{
    private readonly TableView _view;
    private readonly string _directory;
    private readonly FamilyIterator _records;
    private byte* _value;
    private int _valueLength;
    private bool _onRecord;
    private bool _closed;

    internal RangeCursor(TableView view, TableDatabase database, ReadOnlySpan<byte> start, ReadOnlySpan<byte> end, bool bounded)
    {
        _view = view;
        _directory = database.Directory;
        _records = new FamilyIterator(database, Family.Data, view.Snapshot, start, end, bounded);
    }

    public ReadOnlySpan<byte> Key => _onRecord ? _records.Key : throw NoRecord();

    public RecordHeader Header { get; private set; }

    public ReadOnlySpan<byte> Value => _onRecord ? new(_value, _valueLength) : throw NoRecord();

    public bool MoveNext()
    {
        _onRecord = false;
        if (!_records.MoveNext()) return false;
        Header = ValueRecord.Decode(_records.Value, _records.Key, _directory, out ReadOnlySpan<byte> value);
        // Native memory, pinned by the iterator until its next step.
        fixed (byte* start = value) _value = start;
        _valueLength = value.Length;
        _onRecord = true;
        return true;
    }

    public void Dispose()
    {
        if (_closed) return;
        _closed = true;
        _onRecord = false;
        _records.Dispose();
        _view.CursorClosed();
    }

    private static InvalidOperationException NoRecord() => new("The cursor is not on a record: MoveNext was not called, returned false, or the cursor is disposed.");
}
