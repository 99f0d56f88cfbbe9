using Grpc.Core;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>
/// The status codes of what goes wrong behind admission. A write whose fate is unknown is UNKNOWN, never UNAVAILABLE: libraries repeat calls on UNAVAILABLE
/// by themselves, and a write that is done twice is not what its caller asked for.
/// </summary>
internal static class Failures
{
    public const string NothingHappened = "nothing was written, trying again is safe";

    public const string FateUnknown = "the write was accepted and may or may not have been applied, now or later; read to find out before you repeat it";

    public static RpcException Proposal(in ProposalOutcome outcome, CallDeadline deadline)
    {
        bool expired = deadline.Token.IsCancellationRequested;
        return outcome.Failure switch
        {
            GroupFailure.Unknown when expired => deadline.Expired(FateUnknown),
            GroupFailure.Unknown => Make(StatusCode.Unknown, outcome.Reason is { } reason ? $"{reason.TrimEnd('.')}: {FateUnknown}" : FateUnknown),
            GroupFailure.Cancelled => deadline.Expired(NothingHappened),
            _ => Make(Code(outcome.Failure), outcome.Reason ?? outcome.Failure.ToString()),
        };
    }

    public static RpcException Barrier(in BarrierOutcome outcome, CallDeadline deadline)
    {
        bool expired = deadline.Token.IsCancellationRequested;
        return outcome.Failure is GroupFailure.Cancelled or GroupFailure.Unknown && expired
            ? deadline.Expired("the read could not be confirmed to be up to date in time; a serializable read would not wait")
            : Make(Code(outcome.Failure), outcome.Reason ?? outcome.Failure.ToString());
    }

    private static StatusCode Code(GroupFailure failure) => failure switch
    {
        GroupFailure.Overloaded or GroupFailure.DiskFull => StatusCode.ResourceExhausted,
        _ => StatusCode.Unavailable,
    };

    private static RpcException Make(StatusCode code, string sentence) => new(new Status(code, sentence));
}
