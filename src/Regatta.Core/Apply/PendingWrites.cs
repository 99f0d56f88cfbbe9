using System.Runtime.InteropServices;

namespace Regatta.Core;

/// <summary>What a step has done to one key.</summary>
internal struct PendingRecord
{
    public ReadOnlyMemory<byte> Key;
    public ReadOnlyMemory<byte> Value;
    public RecordHeader Header;

    /// <summary>False: the step has deleted the key.</summary>
    public bool Exists;
}

/// <summary>
/// The keys that a step has touched one by one: found by hash for point reads; in key order for range reads, which are rarer, so that
/// the order is made only when one comes. Keys and values are slices of the step's entries, not copies.
/// </summary>
internal sealed class PendingWrites
{
    /// <summary>Clearing costs time in proportion to the capacity: after an unusually large step a new table is cheaper.</summary>
    private const int KeptCapacity = 1 << 14;

    private Dictionary<ReadOnlyMemory<byte>, int> _slots;
    private Dictionary<ReadOnlyMemory<byte>, int>.AlternateLookup<ReadOnlySpan<byte>> _bySpan;
    private PendingRecord[] _records = new PendingRecord[64];
    private int _count;

    private readonly Comparison<int> _byKey;
    private int[] _order = [];
    private int[] _fresh = [];
    private int _ordered;

    public PendingWrites()
    {
        _slots = new Dictionary<ReadOnlyMemory<byte>, int>(KeyComparer.Instance);
        _bySpan = _slots.GetAlternateLookup<ReadOnlySpan<byte>>();
        _byKey = (left, right) => _records[left].Key.Span.SequenceCompareTo(_records[right].Key.Span);
    }

    public int Count => _count;

    /// <summary>The key's slot, a new one if the step has not touched the key yet (<paramref name="known"/> is false then).</summary>
    public int Slot(ReadOnlyMemory<byte> key, out bool known)
    {
        ref int slot = ref CollectionsMarshal.GetValueRefOrAddDefault(_slots, key, out known);
        if (!known)
        {
            if (_count == _records.Length)
                Array.Resize(ref _records, 2 * _count);
            slot = _count++;
            _records[slot] = new PendingRecord { Key = key };
        }

        return slot;
    }

    public bool TryFind(ReadOnlySpan<byte> key, out int slot)
    {
        slot = -1;
        return _count > 0 && _bySpan.TryGetValue(key, out slot);
    }

    /// <summary>Valid until the next call of <see cref="Slot"/>.</summary>
    public ref PendingRecord this[int slot] => ref _records[slot];

    /// <summary>Marks every touched key of the range as deleted.</summary>
    public void Delete(KeyRange range)
    {
        for (int position = LowerBound(range.Start.Span); position < _ordered; position++)
        {
            ref PendingRecord record = ref _records[_order[position]];
            if (!range.Contains(record.Key.Span))
                return;
            record.Exists = false;
            record.Value = default;
        }
    }

    /// <summary>Position of the first key that is not below <paramref name="key"/>, in an order that holds until <see cref="LowerBound"/> is called again.</summary>
    public int LowerBound(ReadOnlySpan<byte> key)
    {
        Order();
        return Search(key, _ordered);
    }

    /// <summary>The slot at a position of the order; -1 behind its end. Keys touched since the order was made are not in it.</summary>
    public int SlotAt(int position) => position < _ordered ? _order[position] : -1;

    public void Clear()
    {
        Array.Clear(_records, 0, _count);
        if (_count > KeptCapacity)
        {
            _slots = new Dictionary<ReadOnlyMemory<byte>, int>(KeyComparer.Instance);
            _bySpan = _slots.GetAlternateLookup<ReadOnlySpan<byte>>();
            _records = new PendingRecord[64];
            _order = [];
            _fresh = [];
        }
        else
        {
            _slots.Clear();
        }

        _count = 0;
        _ordered = 0;
    }

    /// <summary>Merges the slots that are new since the last time into the order, from the back, moving blocks.</summary>
    private void Order()
    {
        int added = _count - _ordered;
        if (added == 0)
            return;
        if (_order.Length < _count)
            Array.Resize(ref _order, _records.Length);
        if (_fresh.Length < added)
            _fresh = new int[Math.Max(added, 2 * _fresh.Length)];

        for (int i = 0; i < added; i++)
            _fresh[i] = _ordered + i;
        _fresh.AsSpan(0, added).Sort(_byKey);

        int hole = _count;
        int unmoved = _ordered;
        for (int i = added - 1; i >= 0; i--)
        {
            int position = Search(_records[_fresh[i]].Key.Span, unmoved);
            int moved = unmoved - position;
            Array.Copy(_order, position, _order, hole - moved, moved);
            hole -= moved + 1;
            _order[hole] = _fresh[i];
            unmoved = position;
        }

        _ordered = _count;
    }

    private int Search(ReadOnlySpan<byte> key, int end)
    {
        int low = 0;
        while (low < end)
        {
            int middle = (low + end) >>> 1;
            if (_records[_order[middle]].Key.Span.SequenceCompareTo(key) < 0)
                low = middle + 1;
            else
                end = middle;
        }

        return low;
    }
}
