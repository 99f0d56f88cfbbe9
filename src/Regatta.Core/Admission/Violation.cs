namespace Regatta.Core;

/// <summary>What is wrong with a request.</summary>
/// <param name="Reason">A sentence for the client. Where the Go Regatta has a text for the case, it is that text.</param>
public readonly record struct Violation(ViolationKind Kind, string Reason)
{
    /// <summary>
    /// True: INVALID_ARGUMENT on the wire. False: FAILED_PRECONDITION, which is what the Go Regatta answers to keys and values that are
    /// too long, and nothing else.
    /// </summary>
    public bool IsMalformed => Kind is not (ViolationKind.KeyTooLong or ViolationKind.RangeEndTooLong or ViolationKind.ValueTooLong);
}

public enum ViolationKind
{
    NegativeLimit,
    KeysOnlyAndCountOnly,
    KeyMissing,
    KeyTooLong,
    RangeEndTooLong,
    ValueTooLong,
    TooManyOperations,

    /// <summary>A compare operator or target of a newer version: it would silently be false here.</summary>
    UnknownCompare,
}
