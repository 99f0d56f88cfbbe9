using System.Globalization;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>The Tables calls: changes of the catalogue, answered when this node has carried them out.</summary>
internal sealed class TablesService(Catalogue catalogue, TableReconciler reconciler, ServedTables served, BearerToken token, CallDeadlines deadlines)
    : Tables.TablesBase
{
    private readonly TableList _list = new(catalogue, served, token, deadlines);

    public override async Task<CreateTableResponse> Create(CreateTableRequest request, ServerCallContext context)
    {
        _list.Admit(context);
        if (request.Name.Length == 0)
            throw Sentences.NameMustBeSet.ToException();
        if (TableName.Problem(request.Name) is { } problem)
            throw Rejection.Invalid(problem).ToException();
        using CallDeadline deadline = deadlines.Start(context);
        ProposalOutcome outcome = await catalogue.CreateAsync(request.Name, deadline.Token);
        if (outcome.Result is not TxnResult created)
            throw Failures.Proposal(outcome, deadline);
        if (!created.Succeeded)
            throw Sentences.TableExists.ToException();
        await ReadyAsync(request.Name, created.Revision, deadline);
        return new CreateTableResponse { Id = CatalogueKeys.GroupOf(created.Revision).ToString(CultureInfo.InvariantCulture) };
    }

    public override async Task<DeleteTableResponse> Delete(DeleteTableRequest request, ServerCallContext context)
    {
        _list.Admit(context);
        if (request.Name.Length == 0)
            throw Sentences.NameMustBeSet.ToException();
        using CallDeadline deadline = deadlines.Start(context);
        long deleted = await DeleteAsync(request.Name, deadline);
        await ReconciledAsync(deleted, deadline, $"table '{request.Name}' is deleted, its data is still being removed");
        return new DeleteTableResponse();
    }

    public override Task<ListTablesResponse> List(ListTablesRequest request, ServerCallContext context) => _list.ReadAsync(context);

    private async Task ReadyAsync(string name, long revision, CallDeadline deadline)
    {
        string fate = $"table '{name}' is created, but does not accept writes yet";
        await ReconciledAsync(revision, deadline, fate);
        TableSnapshot tables = served.Snapshot;
        // Gone already: somebody deleted it. It was created all the same.
        if (tables.Find(name) is { } table && table.Incarnation.Number == revision)
            await AcceptsAsync(table.Group, deadline, fate);
        else if (tables.Faults.TryGetValue(name, out string? fault))
            throw new RpcException(new Status(StatusCode.DataLoss, fault));
    }

    private static async Task AcceptsAsync(ITableGroup group, CallDeadline deadline, string fate)
    {
        BarrierOutcome outcome = await group.ReadBarrierAsync(deadline.Token);
        if (outcome.Succeeded)
            return;
        // Not UNAVAILABLE, and not the group's own sentence, which may say that nothing has happened.
        throw deadline.Token.IsCancellationRequested ? deadline.Expired(fate) : new RpcException(new Status(StatusCode.Unknown, fate));
    }

    private async Task ReconciledAsync(long revision, CallDeadline deadline, string fate)
    {
        try
        {
            await reconciler.WaitAsync(revision, deadline.Token);
        }
        catch (ObjectDisposedException)
        {
            throw new RpcException(new Status(StatusCode.Unknown, "this node is stopping: " + fate));
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            throw deadline.Expired(fate);
        }
    }

    private async Task<long> DeleteAsync(string name, CallDeadline deadline)
    {
        while (true)
        {
            await Freshness.BarrierAsync(catalogue.Group, deadline);
            long revision = catalogue.Find(name);
            if (revision == 0)
                throw Sentences.TableToDeleteNotFound.ToException();
            ProposalOutcome outcome = await catalogue.DeleteAsync(name, revision, deadline.Token);
            if (outcome.Result is not TxnResult deleted)
                throw Failures.Proposal(outcome, deadline);
            // Else the table of that name was deleted, and perhaps made again, between the look and the transaction: look again.
            if (deleted.Succeeded)
                return deleted.Revision;
        }
    }
}
