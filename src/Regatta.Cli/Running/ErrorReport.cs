using Grpc.Core;
using Regatta.Client;

namespace Regatta.Cli;

/// <summary>Turns whatever ended a command into an exit code and, on standard error, what is wrong and what to do.</summary>
internal static class ErrorReport
{
    public static int Write(Exception exception, Surroundings surroundings, CancellationToken interrupted)
    {
        (int code, string message, string hint) = Describe(exception, interrupted);
        if (message.Length > 0)
            Write(surroundings.Error, message, hint);
        return code;
    }

    public static void Write(TextWriter error, string message, string hint)
    {
        error.WriteLine("regatta: " + message);
        if (hint.Length > 0)
            error.WriteLine("  " + hint);
    }

    public static (int Code, string Message, string Hint) Describe(Exception exception, CancellationToken interrupted) => exception switch
    {
        ClosedPipeException => (ExitCode.ClosedPipe, "", ""),
        CommandException e => (e.ExitCode, e.Message, e.Hint),
        RegattaException e => (CodeOf(e.Kind), e.Message, HintOf(e)),
        OperationCanceledException when interrupted.IsCancellationRequested =>
            (ExitCode.Interrupted, "interrupted", "a write that was under way may have been applied"),
        IOException or UnauthorizedAccessException => (ExitCode.Failed, exception.Message, ""),
        _ => (ExitCode.Failed, "this is a bug: " + exception, "please report it with the text above"),
    };

    private static int CodeOf(FailureKind kind) => kind switch
    {
        FailureKind.Unreachable or FailureKind.TimedOut => ExitCode.Unreachable,
        FailureKind.OutcomeUnknown => ExitCode.OutcomeUnknown,
        _ => ExitCode.Failed,
    };

    private static string HintOf(RegattaException e) => e switch
    {
        { Status: StatusCode.NotFound, Message: "table not found" } => "see `regatta table list`; `regatta table create NAME` makes one, -t chooses it",
        { Kind: FailureKind.Unreachable, Status: StatusCode.Unavailable, InnerException: RpcException { Status.DebugException: not null } } =>
            "start a node with `regatta dev`, or say with --endpoints where one is",
        { Kind: FailureKind.TimedOut } => "allow more time with --timeout, or try again",
        { Status: StatusCode.Unauthenticated or StatusCode.PermissionDenied } => "give the node's tables.token with --token or REGATTA_TOKEN",
        // The node's own words say what to do; gRPC's do not.
        { Status: StatusCode.Unimplemented } when e.Message.EndsWith("is unimplemented.", StringComparison.Ordinal) => "the node does not offer this call; is it a Regatta node of this version?",
        _ => e.Hint,
    };
}
