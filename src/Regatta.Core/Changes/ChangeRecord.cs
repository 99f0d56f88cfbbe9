using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>What one command did, as the changelog keeps it: no compares, no reads, nothing that had no effect.</summary>
/// <param name="Chain">The history's hash, this record included.</param>
/// <param name="Changes">In the order in which they happened; empty for a command that changed nothing.</param>
public sealed record ChangeRecord(ChainHash Chain, ImmutableArray<Change> Changes)
{
    /// <summary>The command that does the same when it is applied on the same state: what is sent to other sites.</summary>
    public TableCommand ToCommand() => Changes switch
    {
        [] => new DummyCommand(),
        [Change.Put put] => new PutCommand(put.Key, put.Value, WantPrevious: false),
        _ => new TxnCommand([], [.. Changes.Select(ToOperation)], []),
    };

    private static TxnOp ToOperation(Change change) => change switch
    {
        Change.Put put => new TxnOp.Put(put.Key, put.Value, WantPrevious: false),
        Change.Delete delete => new TxnOp.DeleteRange(KeyRange.Single(delete.Key), WantPrevious: false, WantCount: false),
        Change.DeleteRange delete => new TxnOp.DeleteRange(delete.Range, WantPrevious: false, WantCount: false),
        _ => throw new InvalidOperationException($"{change.GetType().Name} has no operation that does the same."),
    };
}

/// <summary>One effect. Its revision is that of its record.</summary>
public abstract record Change
{
    private Change() { }

    /// <param name="CreateRevision">As it stands after the put; equal to the record's revision for a new key.</param>
    /// <param name="Version">As it stands after the put.</param>
    /// <param name="Replaced">Mod revision of what was there before; 0 for a new key.</param>
    public sealed record Put(ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Value, long CreateRevision, long Version, long Replaced) : Change;

    /// <summary>A key that existed was deleted by name.</summary>
    /// <param name="Replaced">Mod revision of what was deleted.</param>
    public sealed record Delete(ReadOnlyMemory<byte> Key, long Replaced) : Change;

    /// <summary>A range that was not empty was deleted; its keys are in the record's further parts.</summary>
    /// <param name="Removed">How many keys it held.</param>
    public sealed record DeleteRange(KeyRange Range, long Removed) : Change;
}

/// <summary>Some of the keys that a range delete removed, in key order; one delete may need several parts.</summary>
/// <param name="Position">Which of the record's changes removed them, from 0.</param>
public sealed record RemovedKeys(int Position, ImmutableArray<RemovedKey> Keys);

/// <param name="Replaced">Mod revision of what was deleted.</param>
public readonly record struct RemovedKey(ReadOnlyMemory<byte> Key, long Replaced);
