namespace Regatta.Raft;

/// <summary>The newest entries of a log, in memory: indices <see cref="First"/> up to <see cref="Last"/> without holes. Not thread-safe.</summary>
internal sealed class LogTail
{
    /// <summary>Dropped slots are reclaimed when there are at least this many and they are the larger part.</summary>
    private const int ReclaimFrom = 256;

    private readonly List<StoredEntry> _slots = [];
    private int _dropped;

    /// <summary>Index of the oldest entry in memory; one behind <see cref="Last"/> when there is none.</summary>
    public long First { get; private set; } = 1;

    public long Last => First + Count - 1;

    public int Count => _slots.Count - _dropped;

    /// <summary>Bytes of the records in memory.</summary>
    public long Bytes { get; private set; }

    public StoredEntry this[long index] => _slots[_dropped + (int)(index - First)];

    public bool Contains(long index) => index >= First && index <= Last;

    public void Add(in StoredEntry entry)
    {
        _slots.Add(entry);
        Bytes += entry.Record.Length;
    }

    /// <summary>Forgets the oldest entry.</summary>
    public void DropFirst()
    {
        Bytes -= _slots[_dropped].Record.Length;
        _slots[_dropped] = default;
        _dropped++;
        First++;
        if (_dropped < ReclaimFrom || _dropped * 2 < _slots.Count)
            return;
        _slots.RemoveRange(0, _dropped);
        _dropped = 0;
    }

    /// <summary>Forgets everything up to <paramref name="index"/>; an empty tail then starts behind it.</summary>
    public void DropThrough(long index)
    {
        while (Count > 0 && First <= index)
            DropFirst();
        if (Count == 0 && First <= index)
            First = index + 1;
    }

    /// <summary>Takes the entries from <paramref name="index"/> on away, oldest first.</summary>
    public List<StoredEntry> RemoveFrom(long index)
    {
        int at = _dropped + (int)(Math.Max(index, First) - First);
        List<StoredEntry> removed = _slots.GetRange(at, _slots.Count - at);
        _slots.RemoveRange(at, removed.Count);
        foreach (StoredEntry entry in removed)
            Bytes -= entry.Record.Length;
        if (Count == 0)
            Restart(index);
        return removed;
    }

    /// <summary>Forgets everything; the next entry added is <paramref name="first"/>.</summary>
    public void Restart(long first)
    {
        _slots.Clear();
        _dropped = 0;
        Bytes = 0;
        First = first;
    }

    /// <summary>The waiters of the entry have been served: it must not be kept alive by the log.</summary>
    public void ForgetProposal(long index)
    {
        int at = _dropped + (int)(index - First);
        _slots[at] = new StoredEntry(_slots[at].Record, _slots[at].Durable, null);
    }
}
