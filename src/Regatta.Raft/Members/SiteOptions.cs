namespace Regatta.Raft;

/// <summary>The other nodes of the site, and how this one talks with them.</summary>
public sealed record SiteOptions
{
    /// <summary>The site's name: nodes of other names are refused.</summary>
    public required string Name { get; init; }

    /// <summary>HOST:PORT of every node by its id, this one included; 1 to 7 of them, the same on all nodes.</summary>
    public required IReadOnlyDictionary<long, string> Members { get; init; }

    /// <summary>ADDRESS:PORT on which this node listens for the others.</summary>
    public required string ListenAddress { get; init; }

    /// <summary>The history of a site that is founded now: a new one, or for a follower site that of the leader site, once that answers.</summary>
    public Func<CancellationToken, Task<Guid>> NewHistory { get; init; } = static _ => Task.FromResult(Guid.NewGuid());

    /// <summary>Snapshots that this node fetches at a time. 1 or more.</summary>
    public int SnapshotFetches { get; init; } = 2;
}
