using System.Collections.Immutable;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>
/// The nodes of the site, as this one can ask them, itself included. Expected failures are outcomes; all members may be called from any thread.
/// </summary>
internal interface ISiteCalls
{
    /// <summary>Ids of all nodes of the site, ascending.</summary>
    ImmutableArray<long> Members { get; }

    /// <summary>
    /// A node's hashes of a table, see <see cref="TableHashing.HashAsync"/>. A node that cannot be reached is a failure of its own. Cancelled, the node stops
    /// reading, too.
    /// </summary>
    /// <param name="nodeId">One of <see cref="Members"/>.</param>
    /// <param name="revision">1 or more, or 0 for a table that has none yet.</param>
    Task<NodeHashes> HashAsync(long nodeId, ServedTable table, long revision, CancellationToken deadline);

    /// <summary>As <see cref="HashAsync"/>, but see <see cref="TableHashing.ChainAsync"/>.</summary>
    Task<NodeHashes> ChainAsync(long nodeId, ServedTable table, long revision, CancellationToken deadline);

    /// <summary>How a node is reached, as it says itself; of one that does not answer soon only what the configuration says.</summary>
    /// <param name="nodeId">One of <see cref="Members"/>.</param>
    Task<Member> DescribeAsync(long nodeId, CancellationToken deadline);

    /// <summary>Hands the leadership of a table's group to a node, from whichever node has it.</summary>
    /// <param name="nodeId">One of <see cref="Members"/>.</param>
    /// <returns>Null: the node leads. Else why not, and what to do.</returns>
    Task<Rejection?> MoveLeaderAsync(ServedTable table, long nodeId, CancellationToken deadline);
}
