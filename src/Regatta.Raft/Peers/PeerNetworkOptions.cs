using System.Net;

namespace Regatta.Raft;

/// <summary>How a node finds the others of its site and how much it lets lie on the way to them.</summary>
internal sealed record PeerNetworkOptions
{
    public required long NodeId { get; init; }

    /// <summary>HOST:PORT of every node of the site, this one included.</summary>
    public required IReadOnlyDictionary<long, string> Members { get; init; }

    /// <summary>ADDRESS:PORT with a numeric address or localhost; port 0 lets the system choose.</summary>
    public required string ListenAddress { get; init; }

    public required string SiteName { get; init; }

    /// <summary>Random, made once with this node's data directory.</summary>
    public required Guid StoreId { get; init; }

    /// <summary>The site's history, or none before it is founded. Asked at each handshake, on any thread.</summary>
    public required Func<Guid?> History { get; init; }

    /// <summary>Where to dial a member, asked before each attempt; null: what <see cref="Members"/> says. Tests let the system choose ports.</summary>
    public Func<long, EndPoint>? AddressOf { get; init; }

    /// <summary>The largest request or reply.</summary>
    public int MaxMessageBytes { get; init; } = 16 << 20;

    /// <summary>The largest piece of a message that goes at a time, before it is another group's turn. The same on all nodes.</summary>
    public int FrameBytes { get; init; } = 64 << 10;

    /// <summary>Requests of one group to one node that may be queued or unanswered; who calls beyond it waits. One larger request goes alone.</summary>
    public int GroupBytesInFlight { get; init; } = 8 << 20;

    public TimeSpan MinBackOff { get; init; } = TimeSpan.FromMilliseconds(50);

    public TimeSpan MaxBackOff { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>For connecting, and again for both sides to accept each other.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>After so long a silence the other side is asked whether it is there.</summary>
    public TimeSpan PingAfter { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>After so long a silence the connection is given up.</summary>
    public TimeSpan SilenceLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>What a call counts against <see cref="GroupBytesInFlight"/>: empty requests take memory too.</summary>
    public static long CostOf(int requestBytes) => requestBytes + 512L;

    public EndPoint DialAddress(long nodeId) => AddressOf is null ? PeerAddress.ToDial(Members[nodeId]) : AddressOf(nodeId);
}
