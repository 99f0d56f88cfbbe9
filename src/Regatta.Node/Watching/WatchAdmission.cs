using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>Checks of a watch that is asked for.</summary>
internal static class WatchAdmission
{
    public static readonly Rejection NoRequest = Rejection.Invalid("a message of the stream must hold create, cancel or progress");

    public static readonly Rejection OtherHistory = Rejection.Precondition(
        "the history that was watched was given up for another one, which differs before start_revision; read the table, and watch from the revision after the one that was read");

    private static readonly Rejection IdMustBePositive = Rejection.Invalid("watch_id must be 1 or more");
    private static readonly Rejection StartTooGreat = Rejection.Invalid("start_revision is greater than any revision can be");
    private static readonly Rejection SkipWithoutStart = Rejection.Invalid("skip_events must be at most 2^31-1, and is for start_revision alone");
    private static readonly Rejection ChainHasLength = Rejection.Invalid("chain_hash must have 16 bytes, or none");
    private static readonly Rejection HalfALife = Rejection.Invalid("history_id must have 16 bytes, and incarnation be given with it, or neither");

    /// <summary>Why the watch is refused; null: it is not.</summary>
    public static Rejection? Check(CreateWatch request, Limits limits)
    {
        RangeRequest keys = new() { Table = request.Table, Key = request.Key, RangeEnd = request.RangeEnd };
        RangeQuery query = RangeAdmission.Query(keys);
        Rejection? own = request switch
        {
            { WatchId: < 1 } => IdMustBePositive,
            { StartRevision: > long.MaxValue } => StartTooGreat,
            { SkipEvents: > int.MaxValue } or { StartRevision: 0, SkipEvents: > 0 } => SkipWithoutStart,
            { ChainHash.Length: not (0 or 16) } => ChainHasLength,
            { HistoryId.Length: not (0 or 16) } or { HistoryId.IsEmpty: true, Incarnation: > 0 } => HalfALife,
            _ => null,
        };
        if (own is not null)
            return own;
        try
        {
            RangeAdmission.ThrowOnForm(keys, query);
            RangeAdmission.ThrowOnLimits(query, limits);
            return null;
        }
        catch (RpcException e)
        {
            return new Rejection(e.StatusCode, e.Status.Detail);
        }
    }

    /// <summary>Whether the life that the client knows is the table's.</summary>
    public static Rejection? CheckLife(CreateWatch request, ServedTable table)
    {
        if (request.HistoryId.IsEmpty)
            return null;
        Incarnation known = new(new Guid(request.HistoryId.Span, bigEndian: true), (long)request.Incarnation);
        return known == table.Incarnation
            ? null
            : Rejection.Precondition($"the table's life that was watched is {known}, and here it is {table.Incarnation}: it was made anew, or this is another leader site's; read it, and watch from there");
    }
}
