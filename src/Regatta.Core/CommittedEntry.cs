namespace Regatta.Core;

/// <summary>A committed Raft entry on its way into a table.</summary>
/// <param name="Payload">As written by <c>EntryWriter</c>; empty for entries that carry no commands (a new leader's no-op, configuration).</param>
/// <param name="Results">Where the results of the entry's commands go, in their order; null when nobody on this node waits for them.</param>
public readonly record struct CommittedEntry(long Index, long Term, ReadOnlyMemory<byte> Payload, ICommandResults? Results);

/// <summary>Receives results while an entry is applied. They may be shown to callers only after the store's write has succeeded.</summary>
public interface ICommandResults
{
    /// <param name="position">Position of the command in its entry, from 0.</param>
    void Set(int position, CommandResult result);
}
