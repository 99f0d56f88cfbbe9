using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>
/// Walks the records that match a query, page after page. Filters come first, then the limit. One record is looked ahead, so that
/// <c>more</c> is exact and no page but the only one is empty unless its budget was spent before.
/// </summary>
internal sealed class RangeScan : IDisposable
{
    private readonly ITableCursor _cursor;
    private readonly RangeQuery _query;
    private readonly CancellationToken _cancellation;

    /// <summary>Records that may still be delivered; MaxValue: no limit.</summary>
    private long _left;

    /// <summary>The cursor stands on a match that has not been delivered.</summary>
    private bool _waiting;

    public RangeScan(ITableView view, in RangeQuery query, CancellationToken cancellation)
    {
        _query = query;
        _cancellation = cancellation;
        _left = query.Limit > 0 ? query.Limit : long.MaxValue;
        bool withValue = !query.KeysOnly && !query.CountOnly;
        _cursor = query.Keys.IsSingle ? new PointCursor(view, query.Keys.Start, withValue) : view.Scan(query.Keys);
    }

    /// <summary>The last page has been read.</summary>
    public bool Finished { get; private set; }

    public RangePage Read(PageBudget budget)
    {
        budget.OpenAnswer();
        if (_query.CountOnly)
            return Count();

        var records = ImmutableArray.CreateBuilder<KeyRecord>();
        while (_waiting || MoveToMatch())
        {
            _waiting = true;
            if (_left == 0)
            {
                Finished = true;
                break;
            }

            if (!budget.TryAdmit(_cursor.Key.Length, _query.KeysOnly ? 0 : _cursor.Value.Length))
                break;
            records.Add(Copy());
            _waiting = false;
            _left--;
        }

        Finished |= !_waiting;
        ImmutableArray<KeyRecord> page = records.DrainToImmutable();
        return new RangePage(page, _waiting, page.Length);
    }

    public void Dispose() => _cursor.Dispose();

    private RangePage Count()
    {
        long count = 0;
        bool more = false;
        while (!more && MoveToMatch())
        {
            more = count == _left;
            if (!more)
                count++;
        }

        Finished = true;
        return new RangePage([], more, count);
    }

    private bool MoveToMatch()
    {
        while (_cursor.MoveNext())
        {
            _cancellation.ThrowIfCancellationRequested();
            if (Matches(_cursor.Header))
                return true;
        }

        return false;
    }

    private bool Matches(in RecordHeader header) =>
        (_query.MinModRevision <= 0 || header.ModRevision >= _query.MinModRevision)
        && (_query.MaxModRevision <= 0 || header.ModRevision <= _query.MaxModRevision)
        && (_query.MinCreateRevision <= 0 || header.CreateRevision >= _query.MinCreateRevision)
        && (_query.MaxCreateRevision <= 0 || header.CreateRevision <= _query.MaxCreateRevision);

    private KeyRecord Copy() => RecordCopy.Of(_cursor.Key, _cursor.Header, _query.KeysOnly ? default : _cursor.Value);
}
