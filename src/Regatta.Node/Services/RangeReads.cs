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
        FreshRead<RangeResponse> read = await freshness.ReadAsync(request, table, deadline, () => Read(query, table, deadline));
        budget.Take(read.What.CalculateSize(), context);
        freshness.Tell(context, read);
        return read.What;
    }

    private RangeResponse Read(RangeQuery query, ServedTable table, CallDeadline deadline)
    {
        using ITableView view = table.Group.Reader.OpenView();
        try
        {
            return Replies.Range(TableQueries.Range(view, query, pageBytes, deadline.Token), table.Header(view.Revision));
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            throw deadline.Expired("the range is not read to its end; ask for a smaller one or set a later deadline");
        }
    }
}
