using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>
/// Checks of Range and IterateRange, in the order that the Go project checks in: options, table, key, does the table exist, limits.
/// </summary>
internal static class RangeAdmission
{
    private static readonly Rejection UnknownConsistency = Rejection.Invalid("consistency must be LOCAL (0), SITE (1) or GLOBAL (2)");

    private static readonly Rejection NegativeFilter =
        Rejection.Invalid("min_mod_revision, max_mod_revision, min_create_revision and max_create_revision must not be negative; 0 means no bound");

    private static readonly Rejection RevisionTooGreat = Rejection.Invalid("min_revision is greater than any revision can be");

    /// <summary>What is wrong whatever the table holds.</summary>
    /// <exception cref="RpcException">INVALID_ARGUMENT.</exception>
    public static void ThrowOnForm(RangeRequest request, in RangeQuery query)
    {
        if (CommandValidation.CheckOptions(query) is { } options)
            throw Violations.ToException(options);
        if (CheckOwnFields(request) is { } rejection)
            throw rejection.ToException();
        if (request.Table.IsEmpty)
            throw Sentences.TableMustBeSet.ToException();
        if (CommandValidation.CheckPresence(query) is { } missing)
            throw Violations.ToException(missing);
    }

    /// <exception cref="RpcException">FAILED_PRECONDITION.</exception>
    public static void ThrowOnLimits(in RangeQuery query, Limits limits)
    {
        if (CommandValidation.CheckLimits(query, limits) is { } violation)
            throw Violations.ToException(violation, Violations.Detail(violation, "", query.Keys, 0, limits));
    }

    public static RangeQuery Query(RangeRequest request) => new(
        KeyRange.FromWire(request.Key.Memory, request.RangeEnd.Memory),
        request.Limit,
        request.KeysOnly,
        request.CountOnly,
        request.MinModRevision,
        request.MaxModRevision,
        request.MinCreateRevision,
        request.MaxCreateRevision);

    /// <summary>What Txn has of these fields, too.</summary>
    public static Rejection? CheckFreshness(Consistency consistency, ulong minRevision)
    {
        if (consistency is < Consistency.Local or > Consistency.Global)
            return UnknownConsistency;
        return minRevision > long.MaxValue ? RevisionTooGreat : null;
    }

    // Fields that the Go project does not have or does not serve.
    private static Rejection? CheckOwnFields(RangeRequest request)
    {
        if (request.MinModRevision < 0 || request.MaxModRevision < 0 || request.MinCreateRevision < 0 || request.MaxCreateRevision < 0)
            return NegativeFilter;
        return CheckFreshness(request.Consistency, request.MinRevision);
    }
}
