using DotNext.IO.Log;
using DotNext.Net.Cluster.Consensus.Raft;
using Regatta.Core;

namespace Regatta.Raft;

/// <summary>How entries come out of the log: at start, for a peer, for the applier.</summary>
internal sealed partial class EntryLog
{
    /// <summary>
    /// Most bytes of one read. A leader sends all that it reads in one message, and one that outlives its time-out starts again from scratch.
    /// </summary>
    public const long MaxReadBytes = 4 << 20;

    /// <summary>Loads the log and checks it, entry by entry: nothing is missing, damaged, out of order or apart from the table's state.</summary>
    /// <param name="applied">How far the table's state on disk is.</param>
    /// <exception cref="InvalidDataException">Names directory, group and index, and says what to do.</exception>
    public void Open(AppliedState applied)
    {
        lock (_gate)
        {
            Load();
            CheckAgainst(applied);
            _commit = Math.Max(_hard.CutIndex, applied.Index);
            Trace?.Opened(group, _hard, _last, TermAtCore(_last), _commit);
        }
    }

    /// <summary>
    /// Loads the log and checks it by itself, beside a state that was installed and that it need not lead to. All that may be done then is
    /// <see cref="SetTermAsync"/> and <see cref="RestartBehindAsync"/>; after that the log opens as ever.
    /// </summary>
    /// <exception cref="InvalidDataException">Names directory, group and index, and says what to do.</exception>
    public void OpenForRestart()
    {
        lock (_gate)
        {
            Load();
            _commit = _hard.CutIndex;
        }
    }

    /// <summary>
    /// Passes entries to DotNext: an empty list for an empty range, one entry for everything up to the cut, else at most <see cref="MaxReadBytes"/>. Entries behind the range, too: a member
    /// that is behind by many rounds then gets in the first message what it would get in as many as there were rounds, each with a sync.
    /// </summary>
    public ValueTask<TResult> ReadAsync<TResult>(ILogEntryConsumer<IRaftLogEntry, TResult> reader, long from, long to, CancellationToken cancellationToken)
    {
        while (true)
        {
            long cut;
            long cutTerm;
            List<StoredEntry>? entries = null;
            lock (_gate)
            {
                (cut, cutTerm) = (_hard.CutIndex, _hard.CutTerm);
                if (from > to)
                    entries = [];
                else if (to > _last)
                    throw new ArgumentOutOfRangeException(nameof(to), to, $"Group {group}: the log ends at {_last}.");
                else if (_tail.Contains(from))
                    entries = FromTail(from, reader.LogEntryMetadataOnly ? to : _last, MaxReadBytes);
            }

            if (entries is null && from <= cut)
                return reader.ReadAsync<CutEntry, CutEntry[]>([new CutEntry(cutTerm)], cut, cancellationToken);
            // Reading the disk takes time, and nobody else should wait for it. The log may be cut or truncated meanwhile: then look again.
            entries ??= TryReadStore(from, to, MaxReadBytes);
            if (entries is not null)
                return reader.ReadAsync<StoredEntry, EntryBatch>(new EntryBatch(entries, from, to), null, cancellationToken);
        }
    }

    /// <summary>Committed entries from <paramref name="from"/> on, at least one if there is any and at most about <paramref name="maxBytes"/>. For the applier.</summary>
    public List<StoredEntry> ReadCommitted(long from, long maxBytes)
    {
        long to;
        lock (_gate)
        {
            to = _commit;
            if (from > to)
                return [];
            if (_tail.Contains(from))
                return FromTail(from, to, maxBytes);
        }

        // Committed and not applied: neither cut nor truncated.
        return TryReadStore(from, to, maxBytes) ?? throw store.Damaged(group, $"entry {from}", "it is missing");
    }

    private List<StoredEntry> FromTail(long from, long to, long maxBytes)
    {
        List<StoredEntry> entries = [];
        long bytes = 0;
        for (long index = from; index <= Math.Min(to, _tail.Last); index++)
        {
            StoredEntry entry = _tail[index];
            bytes += entry.Record.Length;
            if (bytes > maxBytes && entries.Count > 0)
                break;
            entries.Add(entry);
        }

        return entries;
    }

    private List<StoredEntry>? TryReadStore(long from, long to, long maxBytes)
    {
        List<StoredEntry> entries = [];
        long bytes = 0;
        store.Scan(group, from, to, (index, record) =>
        {
            bytes += record.Length;
            if (index != from + entries.Count || (bytes > maxBytes && entries.Count > 0))
                return false;
            entries.Add(new StoredEntry(record, Task.CompletedTask, null));
            return true;
        });
        return entries.Count == 0 ? null : entries;
    }

    private void Load()
    {
        HardState? stored = store.ReadHardState(group);
        _hard = stored ?? default;
        _term = _hard.Term;
        _vote = _hard.Vote;
        _last = _hard.CutIndex;
        _tail.Restart(_hard.CutIndex + 1);
        _sizes.Restart(_hard.CutIndex);
        long previous = _hard.CutTerm;
        store.Scan(group, _hard.CutIndex + 1, long.MaxValue - 1, (index, record) => Load(index, record, stored is not null, ref previous));
    }

    private bool Load(long index, byte[] record, bool isKnown, ref long previousTerm)
    {
        if (!isKnown)
            throw store.Damaged(group, $"entry {index}", "the group has entries but no record of term and cut");
        if (index != _last + 1)
            throw store.Damaged(group, $"entry {_last + 1}", $"it is missing; the next one there is {index}");
        long term = LogRecord.Term(record);
        if (term < previousTerm)
            throw store.Damaged(group, $"entry {index}", $"its term {term} is lower than its predecessor's, {previousTerm}");
        if (term > _hard.Term)
            throw store.Damaged(group, $"entry {index}", $"its term {term} is higher than the group's, {_hard.Term}");
        previousTerm = term;
        Push(record, Task.CompletedTask, null);
        while (_tail.Bytes > store.Options.TailCacheBytes && _tail.Count > 1)
            _tail.DropFirst();
        return true;
    }

    private void CheckAgainst(in AppliedState applied)
    {
        if (applied.Index < _hard.CutIndex)
            throw store.Damaged(group, $"entry {applied.Index + 1}", $"the table's state on disk needs it, and the log starts behind {_hard.CutIndex}");
        if (applied.Index > _last)
            throw store.Damaged(group, $"entry {_last + 1}", $"it is missing; the table's state on disk is already at {applied.Index}");
        long term = TermAtCore(applied.Index);
        if (applied.Index > 0 && term != applied.Term)
            throw store.Damaged(group, $"entry {applied.Index}", $"its term is {term}, but the table applied it in term {applied.Term}");
    }
}
