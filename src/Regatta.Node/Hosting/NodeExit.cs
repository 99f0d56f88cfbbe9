namespace Regatta.Node;

/// <summary>Why a node stopped.</summary>
/// <param name="Code">For the process: 0 after a stop on request, 1 after a failure.</param>
/// <param name="Reason">A sentence for the operator.</param>
public sealed record NodeExit(int Code, string Reason)
{
    internal static NodeExit OnRequest { get; } = new(0, "the node was asked to stop");
}
