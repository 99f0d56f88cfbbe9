using System.Collections.Immutable;

namespace Regatta.Raft;

/// <summary>The nodes of the site, this one included; every group has all of them as members. Thread-safe.</summary>
internal sealed class SiteMembers
{
    private readonly long _self;
    private readonly Func<long, IPeer> _peers;

    /// <param name="ids">Of all nodes.</param>
    /// <param name="peers">Another node by its id.</param>
    public SiteMembers(long self, IEnumerable<long> ids, Func<long, IPeer> peers)
    {
        _self = self;
        _peers = peers;
        Ids = [.. ids.Order()];
        if (!Ids.Contains(self))
            throw new ArgumentException($"Node {self} is not one of its own site.", nameof(ids));
    }

    /// <summary>In ascending order.</summary>
    public ImmutableArray<long> Ids { get; }

    /// <summary>There are no others.</summary>
    public bool IsAlone => Ids.Length == 1;

    public static SiteMembers Alone(long self) => new(self, [self], id => throw new InvalidOperationException($"There is no node {id}."));

    /// <summary>Null: this node.</summary>
    public IPeer? Peer(long id) => id == _self ? null : _peers(id);

    /// <summary>Whether this node stands for election earlier than the others in that group, so that leaders are spread over the nodes.</summary>
    public bool Stands(long groupId) => Ids[(int)(groupId % Ids.Length)] == _self;
}
