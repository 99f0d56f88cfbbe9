namespace Regatta.Node;

/// <summary>What a node is for. Stored in its data directory at the first start; the same data never starts in another role.</summary>
public enum NodeRole
{
    /// <summary>A node of the leader site: accepts writes.</summary>
    Leader = 0,

    /// <summary>A node of <c>regatta dev</c>: a leader node among others in one process.</summary>
    Dev = 1,
}
