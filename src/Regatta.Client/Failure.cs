using Grpc.Core;
using Regatta.Protocol.Channels;

namespace Regatta.Client;

/// <summary>Reads from what gRPC reports whether anything may have happened, and says it in words.</summary>
internal static class Failure
{
    /// <summary>
    /// The node, or the way to it, does not work just now. A connection that breaks early in its life comes as INTERNAL from the library; its
    /// cause tells.
    /// </summary>
    public static bool IsUnavailable(RpcException e) =>
        e.StatusCode == StatusCode.Unavailable
        || (e.StatusCode == StatusCode.Internal && BrokenCall.Broke(e));

    public static RegattaException Of(RpcException e, Endpoint endpoint, bool isWrite)
    {
        if (BrokenCall.NeverSent(e))
            return Unreachable(e, endpoint);
        return e.StatusCode switch
        {
            StatusCode.InvalidArgument or StatusCode.FailedPrecondition or StatusCode.NotFound or StatusCode.AlreadyExists or StatusCode.OutOfRange
                or StatusCode.ResourceExhausted or StatusCode.Unauthenticated or StatusCode.PermissionDenied or StatusCode.Unimplemented =>
                new(FailureKind.Refused, e.StatusCode, Detail(e), RefusedHint(e.StatusCode, Detail(e)), e),
            _ when isWrite => new(FailureKind.OutcomeUnknown, e.StatusCode, Detail(e), "the write may have been applied: read before you repeat it", e),
            StatusCode.DeadlineExceeded => new(FailureKind.TimedOut, e.StatusCode, $"{endpoint} did not answer in time", "allow more time or try again", e),
            _ when IsUnavailable(e) => new(FailureKind.Unreachable, e.StatusCode, Detail(e), "try again", e),
            _ => new(FailureKind.Refused, e.StatusCode, Detail(e), "", e),
        };
    }

    private static RegattaException Unreachable(RpcException e, Endpoint endpoint) => new(
        FailureKind.Unreachable, e.StatusCode, $"no node answers at {endpoint} ({BrokenCall.Cause(e)})", "is a node running there, and is the address right?", e);

    private static string Detail(RpcException e) => e switch
    {
        { StatusCode: StatusCode.DeadlineExceeded, Status.Detail: "" or "Deadline Exceeded" } => "no answer came in time",
        _ when BrokenCall.Cause(e) is { } cause => $"the connection broke ({cause})",
        { Status.Detail: { Length: > 0 } detail } => detail,
        _ => $"the node answered {e.StatusCode} without a reason",
    };

    private static string RefusedHint(StatusCode status, string detail) => status switch
    {
        // gRPC's own words for a message beyond the node's limit: trying again will not help.
        StatusCode.ResourceExhausted when detail.Contains("message exceeds", StringComparison.Ordinal) => "send less in one request",
        StatusCode.ResourceExhausted => "nothing was changed; try again later",
        StatusCode.Unauthenticated or StatusCode.PermissionDenied => "give the token that the node was started with",
        _ => "",
    };
}
