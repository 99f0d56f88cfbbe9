namespace Regatta.Node;

/// <summary>The node cannot start as it is configured. The message is a sentence for the operator that says what to change.</summary>
public sealed class NodeStartException(string message, Exception? cause = null) : Exception(message, cause);
