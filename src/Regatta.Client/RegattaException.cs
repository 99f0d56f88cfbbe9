using Grpc.Core;

namespace Regatta.Client;

/// <summary>What a caller has to tell apart when a call fails.</summary>
public enum FailureKind
{
    /// <summary>The node refused or could not do it; nothing was changed. The message is the node's.</summary>
    Refused,

    /// <summary>No node could be reached or none could serve; nothing was changed.</summary>
    Unreachable,

    /// <summary>A read was not answered in time.</summary>
    TimedOut,

    /// <summary>A write was sent and its answer was lost: it may have been applied, or may yet be. It is never repeated by itself.</summary>
    OutcomeUnknown,
}

/// <summary>A call that failed, with what went wrong (<see cref="Exception.Message"/>) and what can be done (<see cref="Hint"/>).</summary>
public sealed class RegattaException : Exception
{
    internal RegattaException(FailureKind kind, StatusCode status, string message, string hint, Exception? inner)
        : base(message, inner)
    {
        Kind = kind;
        Status = status;
        Hint = hint;
    }

    public FailureKind Kind { get; }

    /// <summary>The gRPC status, as the node or the local stack gave it.</summary>
    public StatusCode Status { get; }

    /// <summary>What the caller can do, as a sentence without capital and full stop; empty if the message says it all.</summary>
    public string Hint { get; }
}
