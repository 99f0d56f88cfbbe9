using Grpc.Core;
using Regatta.Core;

namespace Regatta.Node;

/// <summary>What Core finds wrong with a request, as the status that the client gets.</summary>
internal static class Violations
{
    /// <param name="detail">Which part of the request, and what the limit is; empty if the reason says it all.</param>
    public static RpcException ToException(in Violation violation, string detail = "") => new(new Status(
        violation.IsMalformed ? StatusCode.InvalidArgument : StatusCode.FailedPrecondition,
        detail.Length > 0 ? $"{violation.Reason}: {detail}" : violation.Reason));

    /// <summary>The sizes behind a violation of a limit.</summary>
    /// <param name="where">The operation, such as "success[2]."; empty for a request that is one.</param>
    public static string Detail(in Violation violation, string where, KeyRange keys, int valueBytes, Limits limits) => violation.Kind switch
    {
        ViolationKind.KeyTooLong => $"{where}key has {keys.Start.Length} bytes, the limit is {limits.KeyBytes}",
        ViolationKind.RangeEndTooLong => $"{where}range_end has {keys.End.Length} bytes, the limit is {limits.KeyBytes}",
        ViolationKind.ValueTooLong => $"{where}value has {valueBytes} bytes, the limit is {limits.ValueBytes}",
        _ => where.TrimEnd('.'),
    };
}
