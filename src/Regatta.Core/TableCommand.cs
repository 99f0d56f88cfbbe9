using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>
/// A mutating request as it goes through the Raft log. Every command that is applied gets exactly one table revision, also when
/// it changes nothing; a <see cref="ReplicatedBatch"/> carries some, and an <see cref="InstallCommand"/> stands for many. Limits are checked before a command is proposed,
/// never when it is applied: apply accepts whatever is in the log.
/// </summary>
public abstract record TableCommand;

/// <summary>Sets one key.</summary>
/// <param name="WantPrevious">Reply with the record that was replaced, if any.</param>
public sealed record PutCommand(ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Value, bool WantPrevious) : TableCommand;

/// <summary>Deletes every key of a range.</summary>
/// <param name="WantPrevious">Reply with all deleted records, in key order.</param>
/// <param name="WantCount">Reply with the number of deleted keys (also given when <paramref name="WantPrevious"/> is set).</param>
public sealed record DeleteRangeCommand(KeyRange Range, bool WantPrevious, bool WantCount) : TableCommand;

/// <summary>All compares hold: <paramref name="Success"/>, else <paramref name="Failure"/>; operations see the earlier ones of the same transaction.</summary>
public sealed record TxnCommand(ImmutableArray<Compare> Compares, ImmutableArray<TxnOp> Success, ImmutableArray<TxnOp> Failure) : TableCommand
{
    /// <summary>Neither branch writes: answered from a view, without a log entry and without a revision of its own.</summary>
    public bool IsReadOnly => Success.All(op => op is TxnOp.Range) && Failure.All(op => op is TxnOp.Range);
}

/// <summary>Changes nothing and takes a revision; fills the place of a command without effects in replication.</summary>
public sealed record DummyCommand : TableCommand;

/// <summary>
/// Commands of the leader site, at the revisions that they have there. Applied as a whole to the very state that they follow there, else
/// skipped as a whole: whoever proposes a batch, and however often, each revision comes exactly once and in order.
/// </summary>
/// <param name="Incarnation">The life of the table that the revisions count in.</param>
/// <param name="Before">The revision that the first command follows, 0 or more; the commands take the ones behind it, without a gap.</param>
/// <param name="Commands">None is a batch.</param>
public sealed record ReplicatedBatch(Incarnation Incarnation, long Before, ImmutableArray<TableCommand> Commands) : TableCommand
{
    /// <summary>Whether a table of that life, at that revision, applies it.</summary>
    public bool Follows(Incarnation incarnation, long revision) => Incarnation == incarnation &&
#if DEBUG
        (DebugBugs.Current == DebugBug.BatchAppliedTwice || Before == revision);
#else
        Before == revision;
#endif
}

/// <summary>
/// Another state takes the place of the table's: a later one of the same life, as files that the nodes have fetched before. It is alone in its entry, changes what
/// it is applied to by exchange and not by writes, and is skipped where the table has come as far already.
/// </summary>
/// <param name="Revision">Of the state, 1 or more.</param>
/// <param name="Chain">The chain hash at that revision.</param>
/// <param name="Files">Hash over what the files are: nodes that hold files of the same hash hold the same state.</param>
public sealed record InstallCommand(Incarnation Incarnation, long Revision, ChainHash Chain, UInt128 Files) : TableCommand
{
    /// <summary>Whether a table of that life, at that revision, takes it.</summary>
    public bool Advances(Incarnation incarnation, long revision) => Incarnation == incarnation && Revision > revision;
}

/// <summary>One operation of a transaction.</summary>
public abstract record TxnOp
{
    private TxnOp() { }

    public sealed record Range(KeyRange Keys, long Limit, bool KeysOnly, bool CountOnly) : TxnOp;

    public sealed record Put(ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Value, bool WantPrevious) : TxnOp;

    public sealed record DeleteRange(KeyRange Keys, bool WantPrevious, bool WantCount) : TxnOp;
}
