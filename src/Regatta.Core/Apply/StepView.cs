namespace Regatta.Core;

/// <summary>
/// The table as the command that is being applied sees it: the stored state, changed by what the commands before it in the same step,
/// and its own operations, have done. Their writes are in a batch that nobody can read yet, hence this overlay.
/// </summary>
internal sealed class StepView : ITableView
{
    private readonly PendingWrites _pending = new();
    private readonly DeletedRanges _deleted = new();
    private readonly RecentHeaders _recent = new();
    private ITableView? _stored;

    /// <summary>Revision of the command that is being applied.</summary>
    public long Revision { get; set; }

    private ITableView Stored => _stored ?? throw new InvalidOperationException("No step is being applied.");

    public void Begin(ITableView stored) => _stored = stored;

    /// <summary>What the step has done is stored now.</summary>
    public void Written()
    {
        if (!_deleted.IsEmpty)
            _recent.Clear();
        for (int slot = 0; slot < _pending.Count; slot++)
        {
            ref PendingRecord record = ref _pending[slot];
            if (record.Exists)
                _recent.Put(record.Key.Span, record.Header);
            else
                _recent.Remove(record.Key.Span);
        }
    }

    /// <summary>Forgets the step, whether it was written or not.</summary>
    public void End()
    {
        _pending.Clear();
        _deleted.Clear();
        _stored = null;
    }

    /// <summary>Notes a put of the current revision and returns what it made of the key's header.</summary>
    /// <param name="replaced">Mod revision of what was there before; 0: nothing.</param>
    public RecordHeader Put(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, out long replaced)
    {
        int slot = _pending.Slot(key, out bool known);
        ref PendingRecord record = ref _pending[slot];
        bool exists = known ? record.Exists : TryGetStored(key.Span, out record.Header);
        replaced = exists ? record.Header.ModRevision : 0;
        record.Header = exists
            ? record.Header with { ModRevision = Revision, Version = record.Header.Version + 1 }
            : new RecordHeader(Revision, Revision, 1);
        record.Value = value;
        record.Exists = true;
        return record.Header;
    }

    /// <summary>Notes the deletion of one key; false if it did not exist.</summary>
    /// <param name="replaced">Mod revision of what was there.</param>
    public bool Delete(ReadOnlyMemory<byte> key, out long replaced)
    {
        bool exists = TryGetHeader(key.Span, out RecordHeader header);
        replaced = header.ModRevision;
        if (!exists)
            return false;
        ref PendingRecord record = ref _pending[_pending.Slot(key, out _)];
        record.Exists = false;
        record.Value = default;
        return true;
    }

    /// <summary>Notes the deletion of all keys of a range that held at least one; no cursor may be open.</summary>
    public void DeleteRange(KeyRange range)
    {
        _pending.Delete(range);
        _deleted.Add(range);
    }

    public bool TryGetHeader(ReadOnlySpan<byte> key, out RecordHeader header)
    {
        if (!_pending.TryFind(key, out int slot))
            return TryGetStored(key, out header);
        header = _pending[slot].Header;
        return _pending[slot].Exists;
    }

    public bool TryGet(ReadOnlySpan<byte> key, out RecordHeader header, out ReadOnlyMemory<byte> value)
    {
        if (_pending.TryFind(key, out int slot))
        {
            ref PendingRecord record = ref _pending[slot];
            header = record.Header;
            // A copy: the caller may keep it for longer than the entry lives.
            value = record.Exists ? record.Value.ToArray() : default;
            return record.Exists;
        }

        if (!_deleted.IsEmpty && _deleted.Covers(key))
        {
            header = default;
            value = default;
            return false;
        }

        return Stored.TryGet(key, out header, out value);
    }

    /// <summary>Writes while the cursor is open must wait until it is disposed.</summary>
    public ITableCursor Scan(KeyRange range) => _pending.Count == 0 && _deleted.IsEmpty
        ? Stored.Scan(range)
        : new StepCursor(Stored.Scan(range), _pending, _deleted, range);

    public void Dispose()
    {
        // The stored view belongs to the store.
    }

    private bool TryGetStored(ReadOnlySpan<byte> key, out RecordHeader header)
    {
        if (_deleted.IsEmpty || !_deleted.Covers(key))
            return _recent.TryGet(key, out header) || Stored.TryGetHeader(key, out header);
        header = default;
        return false;
    }
}
