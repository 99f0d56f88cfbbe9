using Regatta.Core;

namespace Regatta.Replication;

/// <summary>What is known of a table at the leader site: everything that was committed before a moment is in its history up to a revision.</summary>
/// <param name="Chain">The chain hash at the revision: tells histories apart.</param>
/// <param name="Moment">A time stamp of this node's clock.</param>
public readonly record struct Sighting(long Revision, ChainHash Chain, long Moment)
{
    /// <summary>Of this node's state, in which everything is that was committed before a moment.</summary>
    /// <exception cref="ObjectDisposedException">The table is being closed.</exception>
    /// <returns>Null: the state has just moved on, and the changelog with it.</returns>
    public static Sighting? Of(ITableReader reader, long moment)
    {
        ArgumentNullException.ThrowIfNull(reader);
        long revision = reader.Revision;
        ChainRead chain = reader.ReadChain(revision);
        return chain.Found ? new Sighting(revision, chain.Chain, moment) : null;
    }
}
