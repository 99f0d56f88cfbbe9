using System.Collections.Immutable;

namespace Regatta.Storage;

/// <summary>Which kind of site a node belongs to; fixed with the first start of its data directory.</summary>
public enum NodeRole
{
    /// <summary>Of the site that accepts writes.</summary>
    Leader = 1,

    /// <summary>Of a site that follows the leader site.</summary>
    Follower = 2,
}

/// <summary>What a data directory is to its site.</summary>
public enum NodeStanding
{
    /// <summary>It knows of no site; there is no history yet.</summary>
    New = 1,

    /// <summary>
    /// It came to a site that was there already, in the place of a disk that was lost. It may have promised something that it no longer knows of, so it takes no part in
    /// a group whose state it has not fetched yet.
    /// </summary>
    Recovering = 2,

    Member = 3,
}

/// <summary>Who a data directory belongs to, as stored in it.</summary>
/// <param name="NodeId">1 or more; unique within the site.</param>
/// <param name="History">Random, made once when the leader site is founded; the same on all nodes of all sites. Empty while the node is new.</param>
/// <param name="Store">Random, made with this directory: a directory that was lost and made anew has another one.</param>
/// <param name="Standing">What it is to its site.</param>
/// <param name="Founders">Stores that were there when the site was founded; empty for a site of one node.</param>
public sealed record NodeIdentity(NodeRole Role, long NodeId, Guid History, Guid Store, NodeStanding Standing, ImmutableArray<Guid> Founders)
{
    public bool Equals(NodeIdentity? other) =>
        other is not null
        && (Role, NodeId, History, Store, Standing) == (other.Role, other.NodeId, other.History, other.Store, other.Standing)
        && Founders.AsSpan().SequenceEqual(other.Founders.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Store, Standing);
}
