using System.Collections;

namespace Regatta.Raft;

/// <summary>Entries that one read of the log gives.</summary>
/// <param name="from">Index of the first.</param>
/// <param name="to">The last one that was asked for.</param>
internal sealed class EntryBatch(List<StoredEntry> entries, long from, long to) : IReadOnlyList<StoredEntry>
{
    /// <summary>The last entry that was asked for; below the first when it was none.</summary>
    public long End => to;

    /// <summary>There were more in the range: the read is bounded.</summary>
    public bool IsShort => from + entries.Count <= to;

    public int Count => entries.Count;

    public StoredEntry this[int index] => entries[index];

    public IEnumerator<StoredEntry> GetEnumerator() => entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
