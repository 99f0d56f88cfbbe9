namespace Regatta.Core;

/// <summary>
/// Headers of keys that were put lately, as they are stored: a put has to know what it replaces, and that look-up is dear in a table that is cold in the processor's cache (decision 0010). Keys that share a
/// place push each other out. What is kept grows with what is written, up to 2048 keys of at most 128 bytes, less than 0.5 MiB. Not thread-safe.
/// </summary>
internal sealed class RecentHeaders
{
    private const int Ways = 2;
    private const int LeastSlots = 16;
    private const int MostSlots = 2048;
    private const int MostKeyBytes = 128;

    /// <summary>A power of two of them; those of one place lie side by side, the newest first.</summary>
    private Slot[] _slots = [];

    public bool TryGet(ReadOnlySpan<byte> key, out RecordHeader header)
    {
        int slot = Find(key);
        header = slot >= 0 ? _slots[slot].Header : default;
        return slot >= 0;
    }

    public void Put(ReadOnlySpan<byte> key, in RecordHeader header)
    {
        if (key.Length > MostKeyBytes)
            return;
        int slot = Find(key);
        if (slot >= 0)
            _slots[slot].Header = header;
        else
            Add(new Slot(key.ToArray(), header));
    }

    public void Remove(ReadOnlySpan<byte> key)
    {
        int slot = Find(key);
        if (slot >= 0)
            _slots[slot] = default;
    }

    public void Clear() => _slots = [];

    private static int Place(ReadOnlySpan<byte> key, int slots) => KeyComparer.Instance.GetHashCode(key) & (slots - Ways);

    /// <returns>-1: it is not there.</returns>
    private int Find(ReadOnlySpan<byte> key)
    {
        if (_slots.Length == 0)
            return -1;
        int place = Place(key, _slots.Length);
        for (int slot = place; slot < place + Ways; slot++)
        {
            if (_slots[slot].Key is { } known && key.SequenceEqual(known))
                return slot;
        }

        return -1;
    }

    private void Add(in Slot added)
    {
        if (_slots.Length == 0)
            _slots = new Slot[LeastSlots];
        int place = Place(added.Key, _slots.Length);
        if (_slots[place + Ways - 1].Key is not null && _slots.Length < MostSlots)
        {
            Grow();
            place = Place(added.Key, _slots.Length);
        }

        for (int slot = place + Ways - 1; slot > place; slot--)
            _slots[slot] = _slots[slot - 1];
        _slots[place] = added;
    }

    /// <summary>Keys that share a place afterwards shared one before: there is room for them.</summary>
    private void Grow()
    {
        Slot[] old = _slots;
        _slots = new Slot[Math.Min(4 * old.Length, MostSlots)];
        foreach (Slot slot in old)
        {
            if (slot.Key is null)
                continue;
            int place = Place(slot.Key, _slots.Length);
            while (_slots[place].Key is not null)
                place++;
            _slots[place] = slot;
        }
    }

    private record struct Slot(byte[]? Key, RecordHeader Header);
}
