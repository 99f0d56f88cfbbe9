namespace Regatta.Storage;

/// <summary>Which kind of site a node belongs to; fixed with the first start of its data directory.</summary>
public enum NodeRole
{
    /// <summary>Of the site that accepts writes.</summary>
    Leader = 1,

    /// <summary>Of a site that follows the leader site.</summary>
    Follower = 2,
}

/// <summary>Who a data directory belongs to, as stored in it.</summary>
/// <param name="NodeId">1 or more; unique within the site.</param>
/// <param name="History">Random, made once when the leader site is bootstrapped; the same on all nodes of all sites.</param>
/// <param name="Store">Random, made with this directory: a directory that was lost and made anew has another one.</param>
public sealed record NodeIdentity(NodeRole Role, long NodeId, Guid History, Guid Store);
