using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>Txn. One that cannot write is a linearizable read of one view: no log entry, no revision of its own.</summary>
internal sealed class Transactions(ServedTables tables, Limits limits, int pageBytes, ReplyBudget budget, Freshness freshness, CallDeadlines deadlines)
{
    public async Task<TxnResponse> RunAsync(TxnRequest request, ServerCallContext context)
    {
        if (request.Table.IsEmpty)
            throw Sentences.TableMustBeSet.ToException();
        ServedTable table = tables.Get(request.Table);
        TxnCommand command = TxnAdmission.Command(request, limits);
        using CallDeadline deadline = deadlines.Start(context);
        return command.IsReadOnly ? await ReadAsync(request, command, table, deadline, context) : await WriteAsync(command, table, deadline);
    }

    private async Task<TxnResponse> ReadAsync(TxnRequest request, TxnCommand command, ServedTable table, CallDeadline deadline, ServerCallContext context)
    {
        long moment = await freshness.AwaitAsync(request, table, deadline);
#if DEBUG
        using ITableView view = DebugBugs.Current == DebugBug.TornTransaction ? ((ITableStore)table.Group.Reader).Latest : table.Group.Reader.OpenView();
#else
        using ITableView view = table.Group.Reader.OpenView();
#endif
        try
        {
            TxnResult result = TableQueries.Evaluate(view, command, pageBytes, deadline.Token);
            TxnResponse reply = Replies.Txn(result, table.Header(result.Revision));
            budget.Take(reply.CalculateSize(), context);
            freshness.Tell(context, moment);
            return reply;
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            throw deadline.Expired("the transaction's ranges are not read to their end; ask for smaller ones or set a later deadline");
        }
    }

    private async Task<TxnResponse> WriteAsync(TxnCommand command, ServedTable table, CallDeadline deadline)
    {
        PreviousRecords.ThrowIfTooLarge(table.Group.Reader, command, pageBytes, deadline);
#if DEBUG
        // The compares are not made again when the transaction is applied.
        if (DebugBugs.Current == DebugBug.CompareBeforeLog && TableQueries.Evaluate(((ITableStore)table.Group.Reader).Latest, command with { Success = [], Failure = [] }).Succeeded)
            command = command with { Compares = [] };
#endif
        ProposalOutcome outcome = await table.Group.ProposeAsync(command, deadline.Token);
        return outcome.Result is TxnResult result ? Replies.Txn(result, table.Header(result.Revision)) : throw Failures.Proposal(outcome, deadline);
    }
}
