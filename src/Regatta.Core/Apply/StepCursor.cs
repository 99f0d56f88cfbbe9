namespace Regatta.Core;

/// <summary>Merges stored records with those of the step, which win; what the step has deleted is left out.</summary>
internal sealed class StepCursor : ITableCursor
{
    private readonly ITableCursor _stored;
    private readonly PendingWrites _pending;
    private readonly DeletedRanges _deleted;
    private readonly KeyRange _range;

    private bool _hasStored;
    private int _position;

    /// <summary>The next touched key of the range; -1: none left.</summary>
    private int _slot;

    /// <summary>Whether the current record is the step's own; else it is the stored cursor's.</summary>
    private bool _onPending;
    private bool _started;

    public StepCursor(ITableCursor stored, PendingWrites pending, DeletedRanges deleted, KeyRange range)
    {
        _stored = stored;
        _pending = pending;
        _deleted = deleted;
        _range = range;
        _position = pending.LowerBound(range.Start.Span);
        _slot = SlotInRange();
        MoveStored();
    }

    public ReadOnlySpan<byte> Key => _onPending ? _pending[_slot].Key.Span : _stored.Key;

    public RecordHeader Header => _onPending ? _pending[_slot].Header : _stored.Header;

    public ReadOnlySpan<byte> Value => _onPending ? _pending[_slot].Value.Span : _stored.Value;

    public bool MoveNext()
    {
        if (_started)
        {
            if (_onPending)
                MovePending();
            else
                MoveStored();
        }

        _started = true;
        while (_slot >= 0)
        {
            int order = _hasStored ? _pending[_slot].Key.Span.SequenceCompareTo(_stored.Key) : -1;
            if (order > 0)
                break;
            if (order == 0)
                MoveStored();
            if (_pending[_slot].Exists)
                return _onPending = true;
            MovePending();
        }

        _onPending = false;
        return _hasStored;
    }

    public void Dispose() => _stored.Dispose();

    private void MoveStored()
    {
        do
            _hasStored = _stored.MoveNext();
        while (_hasStored && !_deleted.IsEmpty && _deleted.Covers(_stored.Key));
    }

    private void MovePending()
    {
        _position++;
        _slot = SlotInRange();
    }

    private int SlotInRange()
    {
        int slot = _pending.SlotAt(_position);
        return slot >= 0 && _range.Contains(_pending[slot].Key.Span) ? slot : -1;
    }
}
