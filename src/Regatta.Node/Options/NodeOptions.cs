using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging;
using Regatta.Raft;
using Regatta.Storage;

namespace Regatta.Node;

/// <summary>
/// Everything about a node that can be set. The values here are the defaults; <see cref="OptionCatalog"/> describes each, with unit, range and
/// name on the outside. Immutable, so one set of options can start several nodes.
/// </summary>
public sealed record NodeOptions
{
    /// <summary>Where everything durable lives. Empty is refused: there is no good guess.</summary>
    public string DataDirectory { get; init; } = "";

    /// <summary>The kind of site that the node belongs to; said by the command that starts it.</summary>
    public NodeRole Role { get; init; } = NodeRole.Leader;

    public LogLevel LogLevel { get; init; } = LogLevel.Information;

    public string ClusterName { get; init; } = "default";

    /// <summary>Empty: "node-" and the node id.</summary>
    public string NodeName { get; init; } = "";

    public ListenAddress ApiAddress { get; init; } = new(IPAddress.Loopback, 8443);

    /// <summary>Empty: the address that the API listens on.</summary>
    public string ApiAdvertiseAddress { get; init; } = "";

    public long ApiMaxConcurrentConnections { get; init; }

    public long ApiMaxConcurrentStreams { get; init; } = 4096;

    /// <summary>For requests that come without a deadline.</summary>
    public TimeSpan ApiDefaultDeadline { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a stream waits for its client to take a page.</summary>
    public TimeSpan ApiStallTimeout { get; init; } = TimeSpan.FromMinutes(5);

    public ListenAddress RestAddress { get; init; } = new(IPAddress.Loopback, 8079);

    public TimeSpan RestReadTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Follower sites may pull from this node.</summary>
    public bool ReplicationEnabled { get; init; } = true;

    public ListenAddress ReplicationAddress { get; init; } = new(IPAddress.Loopback, 8444);

    /// <summary>About the largest message of changes; a single larger revision goes alone.</summary>
    public long ReplicationMessageBytes { get; init; } = 1 << 20;

    public long ReplicationMaxSnapshots { get; init; } = 8;

    /// <summary>The nodes of the leader site, for a follower site; http://HOST:PORT each.</summary>
    public ImmutableArray<Uri> ReplicationLeaderAddress { get; init; } = [];

    /// <summary>The largest message that is taken from the leader site.</summary>
    public long ReplicationMaxReceiveBytes { get; init; } = 64 << 20;

    /// <summary>Tables whose state a node of a follower site fetches from the leader site at a time.</summary>
    public long ReplicationMaxRecoveries { get; init; } = 1;

    /// <summary>How often a leader site that ends its streams is asked for what is new.</summary>
    public TimeSpan ReplicationPollInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How often the node finds out how recent its tables are.</summary>
    public TimeSpan ReplicationProbeInterval { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>How often a leader site of the Go project is asked for the names of its tables.</summary>
    public TimeSpan ReplicationReconcileInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The node serves follower sites.</summary>
    internal bool ServesFollowers => Role == NodeRole.Leader && ReplicationEnabled;

    public long RaftNodeId { get; init; } = 1;

    /// <summary>Node id to host:port. Empty: this node alone. What follows from it is <see cref="Members"/>.</summary>
    public ImmutableSortedDictionary<long, string> RaftInitialMembers { get; init; } = ImmutableSortedDictionary<long, string>.Empty;

    /// <summary>The nodes of the site by id, this one included, and where each is dialled.</summary>
    public ImmutableArray<SiteMember> Members => RaftInitialMembers.IsEmpty
        ? [new SiteMember(RaftNodeId, RaftAddress)]
        : [.. RaftInitialMembers.Select(member => new SiteMember(member.Key, member.Value))];

    /// <summary>The site has several nodes.</summary>
    internal bool HasOtherNodes => RaftInitialMembers.Count > 1;

    /// <summary>Where this node listens for the others; not used in a site of one.</summary>
    public string RaftAddress { get; init; } = "127.0.0.1:8445";

    /// <summary>Bytes per second of snapshots that this node gives to others of its site; 0: unlimited.</summary>
    public long RaftRateLimitBytes { get; init; }

    /// <summary>Where the node writes down what its groups do; empty: nowhere.</summary>
    public string RaftTraceDirectory { get; init; } = "";

    public bool TablesEnabled { get; init; } = true;

    /// <summary>Empty: the Tables calls need no token.</summary>
    public string TablesToken { get; init; } = "";

    /// <summary>Created at start where they do not exist.</summary>
    public ImmutableArray<string> TablesNames { get; init; } = [];

    public long ChangelogMaxBytes { get; init; } = 1L << 30;

    public long ChangelogMaxCount { get; init; } = 1_000_000;

    public TimeSpan ChangelogMaxAge { get; init; } = TimeSpan.FromDays(7);

    public long MaxKeyBytes { get; init; } = 1024;

    public long MaxValueBytes { get; init; } = 2 << 20;

    public long MaxRequestBytes { get; init; } = 4 << 20;

    public long PageBytes { get; init; } = (4 << 20) - (1 << 10);

    public long MaxTxnOperations { get; init; } = 10_000;

    public long MaxIterations { get; init; } = 64;

    public long MaxWatches { get; init; } = 10_000;

    public long MaxReplyBytesInFlight { get; init; } = 256L << 20;

    public GroupOptions Groups { get; init; } = new() { RetainedLogBytes = 64L << 20 };

    public RaftLogOptions Log { get; init; } = new();

    public StorageOptions Storage { get; init; } = StorageOptions.Default;

    public long DiskLowWaterBytes { get; init; } = 256L << 20;

    /// <summary>The name that other members and operators see.</summary>
    public string EffectiveNodeName => NodeName.Length > 0 ? NodeName : "node-" + RaftNodeId;
}

/// <summary>A node of the site.</summary>
/// <param name="Address">HOST:PORT, a numeric IPv6 address in brackets.</param>
public sealed record SiteMember(long NodeId, string Address);
