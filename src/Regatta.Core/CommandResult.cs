using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>What a command did, for the caller that waits for it.</summary>
/// <param name="Revision">The table revision that the command was given (for a read-only transaction: the revision of its view).</param>
public abstract record CommandResult(long Revision);

/// <param name="Previous">The replaced record, if one existed and was asked for.</param>
public sealed record PutResult(long Revision, KeyRecord? Previous) : CommandResult(Revision);

/// <param name="Deleted">Number of deleted keys; 0 unless the count or the previous records were asked for.</param>
public sealed record DeleteRangeResult(long Revision, long Deleted, ImmutableArray<KeyRecord> Previous) : CommandResult(Revision);

public sealed record TxnResult(long Revision, bool Succeeded, ImmutableArray<TxnOpResult> Responses) : CommandResult(Revision);

public sealed record DummyResult(long Revision) : CommandResult(Revision);

/// <summary>Of a <see cref="ReplicatedBatch"/> or an <see cref="InstallCommand"/>.</summary>
/// <param name="Revision">The table's, behind it.</param>
/// <param name="IsApplied">False: the table stands elsewhere, or lives another life; it was skipped.</param>
public sealed record ReplicatedResult(long Revision, bool IsApplied) : CommandResult(Revision);

/// <summary>The answer of one operation of a transaction, in the order of the taken branch.</summary>
public abstract record TxnOpResult
{
    private TxnOpResult() { }

    public sealed record Range(ImmutableArray<KeyRecord> Records, bool More, long Count) : TxnOpResult;

    public sealed record Put(KeyRecord? Previous) : TxnOpResult;

    public sealed record DeleteRange(long Deleted, ImmutableArray<KeyRecord> Previous) : TxnOpResult;
}
