namespace Regatta.Core;

/// <summary>
/// The pages of one answer, all from the same view: a range that is too large for one reply is read at one moment all the same.
/// Not thread-safe; the view must live for as long as the reader.
/// </summary>
/// <param name="pageBytes">Most bytes of a page; a page holds at least one record even when that is larger.</param>
/// <param name="cancellation">Looked at before each record: a count may walk a whole table.</param>
public sealed class RangeReader(ITableView view, RangeQuery query, int pageBytes, CancellationToken cancellation) : IDisposable
{
    private readonly RangeScan _scan = new(view, query, cancellation);

    public RangeReader(ITableView view, RangeQuery query, int pageBytes)
        : this(view, query, pageBytes, CancellationToken.None)
    {
    }

    /// <summary>
    /// The next page; null behind the last one. There is at least one page, an empty one if nothing matches. <see cref="RangePage.More"/>
    /// is true on every page but the last, and on the last one if the limit cut the answer off.
    /// </summary>
    /// <exception cref="OperationCanceledException">The caller has given up.</exception>
    public RangePage? NextPage() => _scan.Finished ? null : _scan.Read(new PageBudget(pageBytes));

    public void Dispose() => _scan.Dispose();
}
