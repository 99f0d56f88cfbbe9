using System.Collections;

namespace Regatta.Raft;

/// <summary>Entries that one read of the log gives.</summary>
/// <param name="isShort">There were more in the range: the read is bounded.</param>
internal sealed class EntryBatch(List<StoredEntry> entries, bool isShort) : IReadOnlyList<StoredEntry>
{
    public bool IsShort => isShort;

    public int Count => entries.Count;

    public StoredEntry this[int index] => entries[index];

    public IEnumerator<StoredEntry> GetEnumerator() => entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
