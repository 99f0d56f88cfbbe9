using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>Range of more than one key: the first page of a view.</summary>
internal sealed class RangeReads(ServedTables tables, Limits limits, int pageBytes, ReplyBudget budget, Freshness freshness, CallDeadlines deadlines)
{
    public async Task<RangeResponse> ReadAsync(RangeRequest request, RangeQuery query, ServerCallContext context)
    {
        ServedTable table = tables.Get(request.Table);
        RangeAdmission.ThrowOnLimits(query, limits);
        using CallDeadline deadline = deadlines.Start(context);
        long moment = await freshness.AwaitAsync(request, table, deadline);
        using ITableView view = table.Group.Reader.OpenView();
        try
        {
            RangePage page = TableQueries.Range(view, query, pageBytes, deadline.Token);
            RangeResponse reply = Replies.Range(page, table.Header(view.Revision));
            budget.Take(reply.CalculateSize(), context);
            freshness.Tell(context, moment);
            return reply;
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            throw deadline.Expired("the range is not read to its end; ask for a smaller one or set a later deadline");
        }
    }
}
