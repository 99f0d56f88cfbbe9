using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>
/// Checks of a request before it is read or proposed; null means that nothing is wrong. Pure and thread-safe. In three steps,
/// because the server's own checks lie between them, and clients see the order: options, (is a table named?), keys are there,
/// (does the table exist?), limits. A transaction has no options and no key of its own: all its checks are limits.
/// </summary>
public static class CommandValidation
{
    private static readonly Violation KeyMissing = new(ViolationKind.KeyMissing, "key must be set");

    /// <summary>First step for reads.</summary>
    public static Violation? CheckOptions(in RangeQuery query) => CheckOptions(query.Limit, query.KeysOnly, query.CountOnly);

    /// <summary>Second step: an empty key, with or without a range end.</summary>
    public static Violation? CheckPresence(in RangeQuery query) => CheckPresence(query.Keys.Start);

    /// <inheritdoc cref="CheckPresence(in RangeQuery)"/>
    public static Violation? CheckPresence(TableCommand command) => command switch
    {
        PutCommand put => CheckPresence(put.Key),
        DeleteRangeCommand delete => CheckPresence(delete.Range.Start),
        _ => null,
    };

    /// <summary>Third step for reads.</summary>
    public static Violation? CheckLimits(in RangeQuery query, Limits limits) => CheckRange(query.Keys, limits);

    /// <summary>Third step for commands, and for read-only transactions too.</summary>
    public static Violation? CheckLimits(TableCommand command, Limits limits) => command switch
    {
        PutCommand put => CheckKey(put.Key, limits) ?? CheckValue(put.Value, limits),
        DeleteRangeCommand delete => CheckRange(delete.Range, limits),
        TxnCommand txn => CheckTxn(txn, limits),
        _ => null,
    };

    private static Violation? CheckTxn(TxnCommand txn, Limits limits)
    {
        int most = Math.Max(txn.Compares.Length, Math.Max(txn.Success.Length, txn.Failure.Length));
        if (most > limits.TxnOperations)
        {
            return new Violation(
                ViolationKind.TooManyOperations,
                $"a transaction has {most} compares or operations in one list, {limits.TxnOperations} are allowed");
        }

        foreach (ref readonly Compare compare in txn.Compares.AsSpan())
        {
            if (CheckCompare(compare, limits) is { } wrong)
                return wrong;
        }

        return CheckOperations(txn.Success, limits) ?? CheckOperations(txn.Failure, limits);
    }

    private static Violation? CheckCompare(in Compare compare, Limits limits)
    {
        if (compare.Operator > CompareOperator.NotEqual || compare.Target > CompareTarget.ModRevision)
        {
            return new Violation(
                ViolationKind.UnknownCompare,
                $"compare operator {(byte)compare.Operator} or target {(byte)compare.Target} is not known to this version");
        }

        return CheckPresence(compare.Keys.Start) ?? CheckRange(compare.Keys, limits) ?? CheckValue(compare.Value, limits);
    }

    private static Violation? CheckOperations(ImmutableArray<TxnOp> operations, Limits limits)
    {
        foreach (TxnOp operation in operations)
        {
            if (CheckOperation(operation, limits) is { } wrong)
                return wrong;
        }

        return null;
    }

    private static Violation? CheckOperation(TxnOp operation, Limits limits) => operation switch
    {
        TxnOp.Put put => CheckPresence(put.Key) ?? CheckKey(put.Key, limits) ?? CheckValue(put.Value, limits),
        TxnOp.DeleteRange delete => CheckPresence(delete.Keys.Start) ?? CheckRange(delete.Keys, limits),
        TxnOp.Range range => CheckOptions(range.Limit, range.KeysOnly, range.CountOnly)
            ?? CheckPresence(range.Keys.Start)
            ?? CheckRange(range.Keys, limits),
        _ => null,
    };

    private static Violation? CheckOptions(long limit, bool keysOnly, bool countOnly)
    {
        if (limit < 0)
            return new Violation(ViolationKind.NegativeLimit, "limit must be a positive number");
        if (keysOnly && countOnly)
            return new Violation(ViolationKind.KeysOnlyAndCountOnly, "keys_only and count_only must not be set at the same time");
        return null;
    }

    private static Violation? CheckPresence(ReadOnlyMemory<byte> key) => key.IsEmpty ? KeyMissing : null;

    private static Violation? CheckRange(KeyRange range, Limits limits) => CheckKey(range.Start, limits)
        ?? (range.End.Length > limits.KeyBytes
            ? new Violation(ViolationKind.RangeEndTooLong, "key length exceeded max allowed value")
            : null);

    private static Violation? CheckKey(ReadOnlyMemory<byte> key, Limits limits) => key.Length > limits.KeyBytes
        ? new Violation(ViolationKind.KeyTooLong, "key length exceeded max allowed value")
        : null;

    private static Violation? CheckValue(ReadOnlyMemory<byte> value, Limits limits) => value.Length > limits.ValueBytes
        ? new Violation(ViolationKind.ValueTooLong, "value length exceeded max allowed value")
        : null;
}
