using Grpc.Core;

namespace Regatta.Node;

/// <summary>Why a request is refused before anything happened: a status code and a sentence that says what is wrong and what to do.</summary>
internal sealed record Rejection(StatusCode Code, string Sentence)
{
    public static Rejection Stopping { get; } = new(StatusCode.Unavailable, "the node is stopping; try another one");

    public static Rejection Invalid(string sentence) => new(StatusCode.InvalidArgument, sentence);

    public static Rejection Precondition(string sentence) => new(StatusCode.FailedPrecondition, sentence);

    public static Rejection NotFound(string sentence) => new(StatusCode.NotFound, sentence);

    public RpcException ToException() => new(new Status(Code, Sentence));
}
