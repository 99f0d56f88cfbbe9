using Regatta.Core;
using Regatta.Storage.Formats;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>Reads of one open database, through a snapshot or without one.</summary>
internal abstract class TableView(TableDatabase database) : ITableView
{
    private int _cursors;
    private bool _released;

    public abstract long Revision { get; }

    /// <summary>The native snapshot; 0 = the newest state.</summary>
    internal virtual nint Snapshot => 0;

    protected TableDatabase Database => database;

    protected abstract nint ReadOptions { get; }

    public bool TryGetHeader(ReadOnlySpan<byte> key, out RecordHeader header)
    {
        Enter();
        try
        {
            using PinnedValue found = database.Get(Family.Data, ReadOptions, key);
            header = found.Found ? ValueRecord.Decode(found.Bytes, key, database.Directory, out _) : default;
            return found.Found;
        }
        finally
        {
            Leave();
        }
    }

    public bool TryGet(ReadOnlySpan<byte> key, out RecordHeader header, out ReadOnlyMemory<byte> value)
    {
        Enter();
        try
        {
            using PinnedValue found = database.Get(Family.Data, ReadOptions, key);
            value = default;
            header = default;
            if (!found.Found) return false;
            header = ValueRecord.Decode(found.Bytes, key, database.Directory, out ReadOnlySpan<byte> stored);
            value = Copy(stored);
            return true;
        }
        finally
        {
            Leave();
        }
    }

    public ITableCursor Scan(KeyRange range)
    {
        if (range.IsSingle) return PointCursor.Of(this, range.Start);
        bool bounded = range.Kind == KeyRangeKind.Interval;
        if (bounded && range.Start.Span.SequenceCompareTo(range.End.Span) >= 0) return PointCursor.Empty;
        Enter();
        _cursors++;
        return new RangeCursor(this, database, range.Start.Span, bounded ? range.End.Span : default, bounded);
    }

    public abstract void Dispose();

    /// <summary>A cursor is done with the database.</summary>
    internal void CursorClosed()
    {
        _cursors--;
        Leave();
        if (_released && _cursors == 0) Release();
    }

    internal static ReadOnlyMemory<byte> Copy(ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty) return default;
        byte[] copy = GC.AllocateUninitializedArray<byte>(value.Length);
        value.CopyTo(copy);
        return copy;
    }

    /// <summary>Ends the view, at once or with its last cursor.</summary>
    protected void ReleaseWhenUnused()
    {
        if (_released) return;
        _released = true;
        if (_cursors == 0) Release();
    }

    protected void ThrowIfReleased() => ObjectDisposedException.ThrowIf(_released, this);

    /// <summary>Makes sure that the database is open, and stays so until <see cref="Leave"/>.</summary>
    protected abstract void Enter();

    protected abstract void Leave();

    protected abstract void Release();
}
