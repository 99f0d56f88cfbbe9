using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>
/// IterateRange: all pages from one view. The next page is read when the client has taken the one before, so a slow client costs one
/// page and the view; how many of these there may be is bounded.
/// </summary>
internal sealed class Iterations(ServedTables tables, Limits limits, int pageBytes, ViewSlots slots, TimeSpan stallTimeout, Freshness freshness, CallDeadlines deadlines, TimeProvider time)
{
    public async Task RunAsync(RangeRequest request, IServerStreamWriter<RangeResponse> replies, ServerCallContext context)
    {
        RangeQuery query = RangeAdmission.Query(request);
        RangeAdmission.ThrowOnForm(request, query);
        ServedTable table = tables.Get(request.Table);
        RangeAdmission.ThrowOnLimits(query, limits);
        long came = time.GetTimestamp();
        bool isDone = false;
        while (!isDone)
        {
            long moment = await ReachAsync(request, table, context);
            using IDisposable slot = slots.Take();
            using ITableView view = table.Group.Reader.OpenView();
            isDone = freshness.IsWithin(request, came, moment);
            if (isDone)
                await StreamAsync(query, view, moment, table, replies, context);
        }
    }

    /// <returns>What is read from now on has everything that was committed before this moment.</returns>
    private async ValueTask<long> ReachAsync(RangeRequest request, ServedTable table, ServerCallContext context)
    {
        if (Freshness.IsHere(request, table))
            return table.Fresh.Moment;
        using CallDeadline deadline = deadlines.Start(context);
        return await freshness.AwaitAsync(request, table, deadline);
    }

    private static RangeResponse Reply(RangePage page, ITableView view, ServedTable table) => Replies.Range(page, table.Header(view.Revision));

    private async Task StreamAsync(RangeQuery query, ITableView view, long moment, ServedTable table, IServerStreamWriter<RangeResponse> replies, ServerCallContext context)
    {
        try
        {
            using RangeReader reader = new(view, query, pageBytes, context.CancellationToken);
            using CancellationTokenSource stalled = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
            while (reader.NextPage() is { } page)
            {
                stalled.CancelAfter(stallTimeout);
                await replies.WriteAsync(Reply(page, view, table), stalled.Token);
                stalled.CancelAfter(Timeout.InfiniteTimeSpan);
#if DEBUG
                if (DebugBugs.Current == DebugBug.TornIteration && page.More && query.Limit == 0)
                {
                    byte[] next = [.. page.Records[^1].Key.Span, 0];
                    KeyRange rest = query.Keys.Kind == KeyRangeKind.From ? KeyRange.From(next) : KeyRange.Interval(next, query.Keys.End);
                    using ITableView newer = table.Group.Reader.OpenView();
                    await StreamAsync(query with { Keys = rest }, newer, moment, table, replies, context);
                    return;
                }
#endif
            }

            // What the last page shows is what was here at the beginning.
            freshness.Tell(context, moment);
        }
        catch (OperationCanceledException)
        {
            // Whoever stalls gets no sentence: behind a message that does not go out there is no way for one.
            throw new RpcException(new Status(StatusCode.Cancelled, "the call was cancelled or its deadline passed; the pages before were complete"));
        }
    }
}
