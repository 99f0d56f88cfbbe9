namespace Regatta.Core;

/// <summary>
/// Whether the conditions of a transaction hold. An operator or target that this version does not know is false, never an error: it
/// was refused when the command was admitted, and apply must give every node the same answer.
/// </summary>
internal static class CompareEvaluation
{
    public static bool AllHold(ITableView view, ReadOnlySpan<Compare> compares)
    {
        foreach (ref readonly Compare compare in compares)
        {
            if (!Holds(view, compare))
                return false;
        }

        return true;
    }

    private static bool Holds(ITableView view, in Compare compare) => compare.Keys.IsSingle ? HoldsForKey(view, compare) : HoldsForRange(view, compare);

    private static bool HoldsForKey(ITableView view, in Compare compare)
    {
        ReadOnlySpan<byte> key = compare.Keys.Start.Span;
        if (compare.Target == CompareTarget.Value)
            return view.TryGet(key, out RecordHeader stored, out ReadOnlyMemory<byte> value) && Matches(compare, stored, value.Span);
        if (view.TryGetHeader(key, out RecordHeader header))
            return Matches(compare, header, default);
        // As in etcd: on a missing key the numbers are 0, so that "create if absent" is a compare; existence is plainly false.
        return compare.Target != CompareTarget.Exists && Matches(compare, default, default);
    }

    /// <summary>Every key that exists must match, and there must be one.</summary>
    private static bool HoldsForRange(ITableView view, in Compare compare)
    {
        using ITableCursor cursor = view.Scan(compare.Keys);
        bool any = false;
        while (cursor.MoveNext())
        {
            any = true;
            if (!Matches(compare, cursor.Header, compare.Target == CompareTarget.Value ? cursor.Value : default))
                return false;
        }

        return any;
    }

    /// <summary>The stored side stands on the left.</summary>
    private static bool Matches(in Compare compare, in RecordHeader header, ReadOnlySpan<byte> value) => compare.Target switch
    {
        CompareTarget.Exists => true,
        CompareTarget.Value => Related(compare.Operator, value.SequenceCompareTo(compare.Value.Span)),
        CompareTarget.Version => Related(compare.Operator, header.Version.CompareTo(compare.Number)),
        CompareTarget.CreateRevision => Related(compare.Operator, header.CreateRevision.CompareTo(compare.Number)),
        CompareTarget.ModRevision => Related(compare.Operator, header.ModRevision.CompareTo(compare.Number)),
        _ => false,
    };

    private static bool Related(CompareOperator comparison, int order) => comparison switch
    {
        CompareOperator.Equal => order == 0,
        CompareOperator.Greater => order > 0,
        CompareOperator.Less => order < 0,
        CompareOperator.NotEqual => order != 0,
        _ => false,
    };
}
