using Google.Protobuf;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.Mvcc;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>
/// Range of one key: by far the most frequent read. A serializable one completes on the request's thread without a snapshot, a timer or a task switch.
/// </summary>
internal sealed class PointReads(ServedTables tables, Limits limits, Freshness freshness, CallDeadlines deadlines)
{
    public Task<RangeResponse> Read(RangeRequest request, in RangeQuery query, ServerCallContext context)
    {
        ServedTable table = tables.Get(request.Table);
        RangeAdmission.ThrowOnLimits(query, limits);
        return Freshness.IsHere(request, table) ? Task.FromResult(ReadHere(request, table, context)) : ReadFreshAsync(request, table, context);
    }

    private async Task<RangeResponse> ReadFreshAsync(RangeRequest request, ServedTable table, ServerCallContext context)
    {
        using CallDeadline deadline = deadlines.Start(context);
        FreshRead<RangeResponse> read = await freshness.ReadAsync(request, table, deadline, () => Answer(request, table));
        freshness.Tell(context, read);
        return read.What;
    }

    private RangeResponse ReadHere(RangeRequest request, ServedTable table, ServerCallContext context)
    {
        long moment = table.Fresh.Moment;
        RangeResponse reply = Answer(request, table);
        freshness.Tell(context, moment);
        return reply;
    }

    private static RangeResponse Answer(RangeRequest request, ServedTable table)
    {
        bool withValue = !request.KeysOnly && !request.CountOnly;
        PointRead read = table.Group.Reader.Get(request.Key.Span, withValue);
        RangeResponse reply = new() { Header = table.Header(read.Revision) };
        if (!read.Found || !Passes(request, read.Header))
            return reply;
        reply.Count = 1;
        if (!request.CountOnly)
            reply.Kvs.Add(Pair(request.Key, read, withValue));
        return reply;
    }

    // The request's key serves as the reply's: it is the same bytes.
    private static KeyValue Pair(ByteString key, in PointRead read, bool withValue) =>
        Replies.Pair(key, read.Header, withValue ? read.Value : default);

    private static bool Passes(RangeRequest request, in RecordHeader header) =>
        header.ModRevision >= request.MinModRevision
        && (request.MaxModRevision == 0 || header.ModRevision <= request.MaxModRevision)
        && header.CreateRevision >= request.MinCreateRevision
        && (request.MaxCreateRevision == 0 || header.CreateRevision <= request.MaxCreateRevision);
}
