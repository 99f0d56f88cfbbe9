using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>
/// IterateRange: all pages from one view. The next page is read when the client has taken the one before, so a slow client costs one
/// page and the view; how many of these there may be is bounded.
/// </summary>
internal sealed class Iterations(ServedTables tables, Limits limits, int pageBytes, ViewSlots slots, TimeSpan stallTimeout, Freshness freshness, CallDeadlines deadlines)
{
    public async Task RunAsync(RangeRequest request, IServerStreamWriter<RangeResponse> replies, ServerCallContext context)
    {
        RangeQuery query = RangeAdmission.Query(request);
        RangeAdmission.ThrowOnForm(request, query);
        ServedTable table = tables.Get(request.Table);
        RangeAdmission.ThrowOnLimits(query, limits);
        if (!freshness.IsHere(request, table))
        {
            using CallDeadline deadline = deadlines.Start(context);
            await freshness.AwaitAsync(request, table, deadline);
        }

        long moment = table.Fresh.Moment;
        using IDisposable slot = slots.Take();
        try
        {
            await StreamAsync(query, table, replies, context);
            // Its pages show what was here at its beginning.
            freshness.Tell(context, moment);
        }
        catch (OperationCanceledException)
        {
            // Whoever stalls gets no sentence: behind a message that does not go out there is no way for one.
            throw new RpcException(new Status(StatusCode.Cancelled, "the call was cancelled or its deadline passed; the pages before were complete"));
        }
    }

    private static RangeResponse Reply(RangePage page, ITableView view, ServedTable table) => Replies.Range(page, table.Header(view.Revision));

    private async Task StreamAsync(RangeQuery query, ServedTable table, IServerStreamWriter<RangeResponse> replies, ServerCallContext context)
    {
        using ITableView view = table.Group.Reader.OpenView();
        using RangeReader reader = new(view, query, pageBytes, context.CancellationToken);
        using CancellationTokenSource stalled = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        while (reader.NextPage() is { } page)
        {
            stalled.CancelAfter(stallTimeout);
            await replies.WriteAsync(Reply(page, view, table), stalled.Token);
            stalled.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }
}
