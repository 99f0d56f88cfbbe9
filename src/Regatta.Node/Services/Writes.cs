using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>Put and DeleteRange: admitted here, then proposed. A reply means durable and applied.</summary>
internal sealed class Writes(ServedTables tables, Limits limits, int pageBytes, CallDeadlines deadlines)
{
    public async Task<PutResponse> PutAsync(PutRequest request, ServerCallContext context)
    {
        PutCommand command = WriteAdmission.Command(request);
        WriteAdmission.ThrowOnForm(request.Table, command);
        ServedTable table = tables.Get(request.Table);
        WriteAdmission.ThrowOnLimits(command, limits);
        using CallDeadline deadline = deadlines.Start(context);
        ProposalOutcome outcome = await table.Group.ProposeAsync(command, deadline.Token);
        return outcome.Result is PutResult result ? Replies.Put(result, table.Header(result.Revision)) : throw Failures.Proposal(outcome, deadline);
    }

    public async Task<DeleteRangeResponse> DeleteAsync(DeleteRangeRequest request, ServerCallContext context)
    {
        DeleteRangeCommand command = WriteAdmission.Command(request);
        WriteAdmission.ThrowOnForm(request.Table, command);
        ServedTable table = tables.Get(request.Table);
        WriteAdmission.ThrowOnLimits(command, limits);
        using CallDeadline deadline = deadlines.Start(context);
        if (command.WantPrevious && !command.Range.IsSingle)
            PreviousRecords.ThrowIfTooLarge(table.Group.Reader, command, pageBytes, deadline);
        ProposalOutcome outcome = await table.Group.ProposeAsync(command, deadline.Token);
        return outcome.Result is DeleteRangeResult result
            ? Replies.Delete(result, table.Header(result.Revision))
            : throw Failures.Proposal(outcome, deadline);
    }
}
