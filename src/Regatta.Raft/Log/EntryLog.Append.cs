using System.Runtime.InteropServices;

namespace Regatta.Raft;

/// <summary>How entries get into the log: proposed here, sent by a leader, or replaced by state that was installed.</summary>
internal sealed partial class EntryLog
{
    /// <summary>Appends as the leader. The entry counts at once and is synced later: <see cref="CommitAsync"/> waits for that.</summary>
    /// <param name="record">Unsealed; its length was taken from the store's budget.</param>
    /// <returns>The entry's index.</returns>
    /// <exception cref="StaleTermException">This node does not lead in that term any more; nothing was appended.</exception>
    /// <exception cref="IOException">The log has failed: the entry is not in it, and may be on the disk.</exception>
    public long Append(byte[] record, ProposedEntry? proposal)
    {
        lock (_gate)
        {
            long term = LogRecord.Term(record);
            if (term != _hard.Term || term < 1)
            {
                store.Budget.Release(record.Length);
                throw new StaleTermException(group, term, _hard.Term);
            }

            long index = _last + 1;
            LogRecord.Seal(record, group, index);
            Task durable = store.Enqueue(LogOp.Put(group, index, record));
            // Also of one whose round has failed by now nobody can say whether it is on the disk.
            if (proposal is not null)
                proposal.IsInLog = true;
            // Or else the others would be sent an entry that this node does not have.
            if (durable.IsFaulted)
                durable.GetAwaiter().GetResult();
            Push(record, durable, proposal);
            return index;
        }
    }

    /// <summary>
    /// Appends what a leader sent. Entries that are here already (same index, same term) stay: a late or repeated message must not
    /// truncate what may be committed by now. The first one that differs goes, with everything behind it, in the same round that writes
    /// its replacement.
    /// </summary>
    /// <param name="records">Unsealed; their lengths were taken from the store's budget.</param>
    /// <returns>Completes when all of them are synced, also those that were here already.</returns>
    public Task AppendFromLeader(ReadOnlySpan<byte[]> records, long start)
    {
        List<StoredEntry>? replaced = null;
        Task durable;
        lock (_gate)
        {
            int known = Check(records, start);
            Release(records[..known]);
            durable = known == records.Length
                ? DurableAtCore(start + known - 1)
                : Replace(records[known..], start + known, out replaced);
        }

        Lose(replaced);
        return durable;
    }

    /// <summary>
    /// The state on this node's disk covers everything up to <paramref name="index"/> without these entries (a snapshot was installed): the log
    /// continues behind it. What is above stays only if this log holds that very entry: a tail that disagrees is another history's.
    /// </summary>
    public async ValueTask RestartBehindAsync(long index, long term)
    {
        List<StoredEntry>? replaced = null;
        Task durable;
        lock (_gate)
        {
            if (index <= _hard.CutIndex)
                return;
            bool keep = index <= _last && TermAtCore(index) == term;
            if (!keep && index <= _commit)
                throw new InvalidOperationException($"Group {group}: a snapshot at {index} disagrees with a committed entry.");
            LogOp delete = LogOp.Delete(group, _hard.CutIndex + 1, keep ? index : Math.Max(_last, index));
            _hard = _hard with { CutIndex = index, CutTerm = term };
            durable = store.Enqueue(delete, LogOp.Put(group, _hard));
            if (keep)
                KeepBehind(index);
            else
                replaced = RestartAt(index);
            if (_commit < index)
                Volatile.Write(ref _commit, index);
        }

        Lose(replaced);
        await durable.ConfigureAwait(false);
    }

    /// <summary>The length of a record, reserved in the budget that all groups share: a slow disk holds proposals back instead of filling memory.</summary>
    public ValueTask TakeRoomAsync(long bytes, CancellationToken cancellationToken) => store.Budget.TakeAsync(bytes, cancellationToken);

    /// <summary>Refuses what cannot follow this log, before anything is changed.</summary>
    /// <returns>How many of the records are here already.</returns>
    private int Check(ReadOnlySpan<byte[]> records, long start)
    {
        try
        {
            int known = CountKnown(records, start);
            if (known < records.Length)
                CheckTerms(records[known..], start + known);
            return known;
        }
        catch
        {
            Release(records);
            throw;
        }
    }

    private int CountKnown(ReadOnlySpan<byte[]> records, long start)
    {
        if (start > _last + 1)
            throw new ArgumentOutOfRangeException(nameof(start), start, $"Group {group}: the log ends at {_last}; entries must follow it without a gap.");
        int known = 0;
        for (; known < records.Length && start + known <= _last; known++)
        {
            long index = start + known;
            if (index > _commit && TermAtCore(index) != LogRecord.Term(records[known]))
                break;
        }

        return known;
    }

    private Task Replace(ReadOnlySpan<byte[]> records, long start, out List<StoredEntry>? replaced)
    {
        replaced = null;
        List<LogOp> ops = new(records.Length + 1);
        if (start <= _last)
        {
            ops.Add(LogOp.Delete(group, start, _last));
            replaced = _tail.RemoveFrom(start);
            _sizes.Truncate(start - 1, replaced.Sum(entry => (long)entry.Record.Length));
            Volatile.Write(ref _last, start - 1);
        }

        for (int i = 0; i < records.Length; i++)
        {
            LogRecord.Seal(records[i], group, start + i);
            ops.Add(LogOp.Put(group, start + i, records[i]));
        }

        Task durable = store.Enqueue(CollectionsMarshal.AsSpan(ops));
        foreach (byte[] record in records)
            Push(record, durable, null);
        return durable;
    }

    private void CheckTerms(ReadOnlySpan<byte[]> records, long start)
    {
        long previous = TermAtCore(start - 1);
        foreach (byte[] record in records)
        {
            long term = LogRecord.Term(record);
            if (term < Math.Max(previous, 1) || term > _hard.Term)
                throw new InvalidOperationException($"Group {group}: an entry of term {term} cannot follow one of term {previous} in term {_hard.Term}.");
            previous = term;
        }
    }

    private void Push(byte[] record, Task durable, ProposedEntry? proposal)
    {
        _tail.Add(new StoredEntry(record, durable, proposal));
        _sizes.Append(_last + 1, record.Length);
        Volatile.Write(ref _last, _last + 1);
    }

    private void KeepBehind(long index)
    {
        _tail.DropThrough(index);
        _sizes.Cut(index);
    }

    private List<StoredEntry> RestartAt(long index)
    {
        List<StoredEntry> replaced = _tail.RemoveFrom(_tail.First);
        _tail.Restart(index + 1);
        _sizes.Restart(index);
        Volatile.Write(ref _last, index);
        return replaced;
    }

    private void Release(ReadOnlySpan<byte[]> records)
    {
        foreach (byte[] record in records)
            store.Budget.Release(record.Length);
    }

    private static void Lose(List<StoredEntry>? replaced)
    {
        foreach (StoredEntry entry in replaced ?? [])
            entry.Proposal?.Waiters.Lost("another leader took over before the write was committed");
    }
}

/// <summary>An entry was proposed in a term that is over.</summary>
internal sealed class StaleTermException(long group, long term, long current)
    : InvalidOperationException($"Group {group}: term {term} is over, the current one is {current}.");
