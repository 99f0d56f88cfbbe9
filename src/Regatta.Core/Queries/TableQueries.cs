using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>Reads that are answered in one piece. Pure functions of the view.</summary>
public static class TableQueries
{
    /// <summary>The first page of an answer; <see cref="RangeReader"/> has the others.</summary>
    /// <exception cref="OperationCanceledException">The caller has given up.</exception>
    public static RangePage Range(ITableView view, RangeQuery query, int pageBytes, CancellationToken cancellation)
    {
        using var scan = new RangeScan(view, query, cancellation);
        return scan.Read(new PageBudget(pageBytes));
    }

    /// <summary>The answer to a query for a single key that was read without a view.</summary>
    /// <param name="read">Made with its value unless the query wants keys or a count only.</param>
    public static RangePage Point(in PointRead read, RangeQuery query)
    {
        using var view = new PointView(read);
        return Range(view, query, PageSize.Default, CancellationToken.None);
    }

    /// <summary>A read-only transaction: all of it at the view's revision, no page larger than the reply that carries all of them.</summary>
    /// <exception cref="ArgumentException">The transaction writes; it must be proposed.</exception>
    public static TxnResult Evaluate(ITableView view, TxnCommand txn) => Evaluate(view, txn, PageSize.Default, CancellationToken.None);

    /// <inheritdoc cref="Evaluate(ITableView, TxnCommand)"/>
    public static TxnResult Evaluate(ITableView view, TxnCommand txn, int pageBytes, CancellationToken cancellation)
    {
        if (!txn.IsReadOnly)
            throw new ArgumentException("A transaction that writes has no answer without the log.", nameof(txn));

        bool succeeded = CompareEvaluation.AllHold(view, txn.Compares.AsSpan());
        ImmutableArray<TxnOp> operations = succeeded ? txn.Success : txn.Failure;
        var budget = new PageBudget(pageBytes);
        var responses = ImmutableArray.CreateBuilder<TxnOpResult>(operations.Length);
        foreach (TxnOp operation in operations)
            responses.Add(Range(view, (TxnOp.Range)operation, budget, cancellation));
        return new TxnResult(view.Revision, succeeded, responses.MoveToImmutable());
    }

    internal static TxnOpResult.Range Range(ITableView view, TxnOp.Range range, PageBudget budget, CancellationToken cancellation)
    {
        using var scan = new RangeScan(view, new RangeQuery(range.Keys, range.Limit, range.KeysOnly, range.CountOnly), cancellation);
        RangePage page = scan.Read(budget);
        return new TxnOpResult.Range(page.Records, page.More, page.Count);
    }
}
