namespace Regatta.Core;

/// <summary>
/// The state machine of one table: turns committed entries into states of its store. The same entries give the same state, revisions
/// and chain hash on every node of every site, however they are grouped into calls. Not thread-safe: one applier per table.
/// </summary>
/// <param name="store">Written to by nobody else: the machine remembers what it has put there.</param>
/// <param name="pageBytes">Most bytes of records in the answer to one transaction; never influences the state.</param>
public sealed class TableMachine(ITableStore store, int pageBytes)
{
    private readonly TableStep _step = new(new StepView(), pageBytes);

    public TableMachine(ITableStore store)
        : this(store, PageSize.Default)
    {
    }

    /// <summary>
    /// Applies entries in one atomic write of the store. Entries at or below the applied index were applied before a restart and are
    /// skipped. After an exception nothing of the call has been written, results that were set are void, and the node must stop:
    /// going on would make it differ from its peers.
    /// </summary>
    /// <exception cref="InvalidDataException">A payload is garbled or of an unknown format, or an entry is missing.</exception>
    public void Apply(ReadOnlySpan<CommittedEntry> entries)
    {
        AppliedState applied = store.Applied;
        while (!entries.IsEmpty && entries[0].Index <= applied.Index)
            entries = entries[1..];
        if (entries.IsEmpty)
            return;

        using ITableBatch batch = store.NewBatch();
        _step.Begin(store.Latest, batch, applied);
        try
        {
            long previous = applied.Index;
            foreach (ref readonly CommittedEntry entry in entries)
            {
                if (entry.Index != ++previous)
                    throw new InvalidDataException($"Entry {entry.Index} is to be applied where entry {previous} is due.");
                Apply(entry);
            }

            store.Write(batch, applied with
            {
                Index = previous,
                Term = entries[^1].Term,
                Revision = _step.Revision,
                Chain = _step.Revision == 0 ? applied.Chain : _step.Chain,
            });
            _step.Written();
        }
        finally
        {
            _step.End();
        }
    }

    private void Apply(in CommittedEntry entry)
    {
        try
        {
            var reader = new EntryReader(entry.Payload);
            for (int position = 0; reader.TryReadKind(out CommandKind kind); position++)
            {
                bool wantResult = entry.Results is not null;
                CommandResult? result = kind == CommandKind.Put
                    ? _step.Execute(reader.ReadPut(), wantResult)
                    : _step.Execute(reader.ReadBody(kind), wantResult);
                if (result is not null)
                    entry.Results!.Set(position, result);
            }
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"Entry {entry.Index} of term {entry.Term} cannot be applied. {e.Message}", e);
        }
    }
}
