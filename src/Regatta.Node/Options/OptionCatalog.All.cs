using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Regatta.Node;

public static partial class OptionCatalog
{
    private static readonly TimeSpan Millisecond = TimeSpan.FromMilliseconds(1);

    /// <summary>Every option, in the order of the documents.</summary>
    public static ImmutableArray<OptionDefinition> All { get; } =
    [
        Option("data-dir", OptionKinds.Text, o => o.DataDirectory, (o, v) => o with { DataDirectory = v },
            "The directory for everything that the node keeps; it must be given."),
        Option("log-level", OptionKinds.Level, o => o.LogLevel, (o, v) => o with { LogLevel = v },
            "The least important messages that are logged: DEBUG, INFO, WARN or ERROR."),
        Option("memberlist.cluster-name", OptionKinds.Text, o => o.ClusterName, (o, v) => o with { ClusterName = v },
            "The site's name, as MemberList and the trailer regatta-site of every read give it."),
        Option("memberlist.node-name", OptionKinds.Text, o => o.NodeName, (o, v) => o with { NodeName = v },
            "The node's name, as MemberList gives it; when empty, \"node-\" and the node id."),
        .. Network(), .. Raft(), .. Tables(), .. Limits(), .. Log(), .. Storage(),
    ];

    // Behind All: initializers run in the order of the text.
    private static readonly FrozenDictionary<string, OptionDefinition> ByName = All.ToFrozenDictionary(option => option.Name, StringComparer.Ordinal);

    private static OptionDefinition[] Network() =>
    [
        Option("api.address", OptionKinds.Address, o => o.ApiAddress, (o, v) => o with { ApiAddress = v },
            "Where the node serves its clients (gRPC); beyond loopback anybody who reaches the port can read and write, for there is no TLS yet."),
        Option("api.advertise-address", OptionKinds.Text, o => o.ApiAdvertiseAddress, (o, v) => o with { ApiAdvertiseAddress = v },
            "The URL that clients are told to use; when empty, the one that the node listens on."),
        Ranged("api.max-concurrent-connections", OptionKinds.Number, o => o.ApiMaxConcurrentConnections, (o, v) => o with { ApiMaxConcurrentConnections = v },
            0, 1_000_000, "The most connections that are open at a time, further ones are closed at once; 0 for no limit.", "connections"),
        Ranged("api.max-concurrent-streams", OptionKinds.Number, o => o.ApiMaxConcurrentStreams, (o, v) => o with { ApiMaxConcurrentStreams = v },
            1, 1_000_000, "The most calls that are open at a time on one connection; clients queue further ones on their side.", "calls"),
        Ranged("api.default-deadline", OptionKinds.Duration, o => o.ApiDefaultDeadline, (o, v) => o with { ApiDefaultDeadline = v },
            Millisecond, TimeSpan.FromHours(1), "How long a call may take whose client sets no deadline; streams are not bounded by it."),
        Ranged("api.stall-timeout", OptionKinds.Duration, o => o.ApiStallTimeout, (o, v) => o with { ApiStallTimeout = v },
            Millisecond, TimeSpan.FromDays(1), "How long IterateRange and Snapshot.Stream wait for their client to take a page or chunk before they cancel the call and close its view."),
        Option("rest.address", OptionKinds.Address, o => o.RestAddress, (o, v) => o with { RestAddress = v },
            "Where /healthz, /readyz and /metrics are served (HTTP)."),
        Ranged("rest.read-timeout", OptionKinds.Duration, o => o.RestReadTimeout, (o, v) => o with { RestReadTimeout = v },
            Millisecond, TimeSpan.FromHours(1), "How long the headers of a REST request may take to arrive."),
        Option("replication.enabled", OptionKinds.Flag, o => o.ReplicationEnabled, (o, v) => o with { ReplicationEnabled = v },
            "Whether follower sites may pull from this node."),
        Option("replication.address", OptionKinds.Address, o => o.ReplicationAddress, (o, v) => o with { ReplicationAddress = v },
            "Where follower sites pull from, and pass writes on to (gRPC); beyond loopback anybody who reaches the port can read and write, for there is no TLS yet."),
        Ranged("replication.max-send-message-size-bytes", OptionKinds.Bytes, o => o.ReplicationMessageBytes, (o, v) => o with { ReplicationMessageBytes = v },
            64 << 10, 64 << 20, "About the largest message of changes to a follower, which is also what a stalled one costs; a single larger revision goes alone."),
        Ranged("replication.max-snapshots", OptionKinds.Number, o => o.ReplicationMaxSnapshots, (o, v) => o with { ReplicationMaxSnapshots = v },
            1, 10_000, "The most snapshots that this node gives to follower sites at a time; each holds a view of its table open.", "snapshots"),
        Option("replication.leader-address", OptionKinds.Urls, o => o.ReplicationLeaderAddress, (o, v) => o with { ReplicationLeaderAddress = v },
            "For a follower site: the replication addresses of the leader site's nodes, as http://HOST:PORT,...; one that does not answer makes way for the next."),
        Ranged("replication.max-recv-message-size-bytes", OptionKinds.Bytes, o => o.ReplicationMaxReceiveBytes, (o, v) => o with { ReplicationMaxReceiveBytes = v },
            4 << 20, 1L << 30, "For a follower site: the largest message that it takes from the leader site; a table whose next revision is larger stops there."),
        Ranged("replication.max-recovery-in-flight", OptionKinds.Number, o => o.ReplicationMaxRecoveries, (o, v) => o with { ReplicationMaxRecoveries = v },
            1, 100, "For a follower site: the most tables whose whole state this node fetches from the leader site at a time; the others wait.", "tables"),
        Ranged("replication.poll-interval", OptionKinds.Duration, o => o.ReplicationPollInterval, (o, v) => o with { ReplicationPollInterval = v },
            Millisecond, TimeSpan.FromHours(1), "For a follower site of a leader site of the Go project: how often each table is asked for changes; a write that is passed on takes up to as long to be answered."),
        Ranged("replication.probe-interval", OptionKinds.Duration, o => o.ReplicationProbeInterval, (o, v) => o with { ReplicationProbeInterval = v },
            TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1), "How often the node finds out how recent its tables are; what regatta-staleness-ms says is about as much greater than the true staleness."),
        Ranged("replication.reconcile-interval", OptionKinds.Duration, o => o.ReplicationReconcileInterval, (o, v) => o with { ReplicationReconcileInterval = v },
            Millisecond, TimeSpan.FromDays(1), "For a follower site of a leader site of the Go project: how often it is asked which tables it has."),
    ];

    private static OptionDefinition[] Raft() =>
    [
        Ranged("raft.node-id", OptionKinds.Number, o => o.RaftNodeId, (o, v) => o with { RaftNodeId = v },
            1, int.MaxValue, "The node's id within its site; the data directory keeps it and refuses to start with another."),
        Option("raft.initial-members", OptionKinds.Members, o => o.RaftInitialMembers, (o, v) => o with { RaftInitialMembers = v },
            "The site's nodes as ID=HOST:PORT,..., this one included; 1, 3 or 5 of them, the same list on all nodes, which never changes."),
        Option("raft.address", OptionKinds.Text, o => o.RaftAddress, (o, v) => o with { RaftAddress = v },
            "Where this node listens for the other nodes of its site (ADDRESS:PORT); a site of one does not listen there.",
            value => HostPort.IsListenable(value) ? null : $"must be ADDRESS:PORT with a numeric address or localhost, not \"{value}\""),
        Ranged("raft.rate-limit-bytes", OptionKinds.Bytes, o => o.RaftRateLimitBytes, (o, v) => o with { RaftRateLimitBytes = v },
            0, TiB, "How many bytes per second of snapshots this node gives to other nodes of its site; 0 for no limit."),
        Option("raft.trace-dir", OptionKinds.Text, o => o.RaftTraceDirectory, (o, v) => o with { RaftTraceDirectory = v },
            "A directory into which the node writes what its groups do, for the trace checker of the tests; slow, and it grows without end. When empty, nothing is written."),
        .. Groups(),
    ];

    private static OptionDefinition[] Tables() =>
    [
        Option("tables.enabled", OptionKinds.Flag, o => o.TablesEnabled, (o, v) => o with { TablesEnabled = v },
            "Whether the Tables calls are served."),
        Secret("tables.token", o => o.TablesToken, (o, v) => o with { TablesToken = v },
            "The bearer token that the Tables calls and Site.Adopt must carry; when empty, none is asked for."),
        Option("tables.names", OptionKinds.List, o => o.TablesNames, (o, v) => o with { TablesNames = v },
            "Tables, separated by commas, that are created at start if they do not exist."),
        Ranged("changelog.max-bytes", OptionKinds.Bytes, o => o.ChangelogMaxBytes, (o, v) => o with { ChangelogMaxBytes = v },
            0, 1L << 50, "How much of a table's history is kept at most: bytes of changes; 0 for no limit."),
        Ranged("changelog.max-count", OptionKinds.Number, o => o.ChangelogMaxCount, (o, v) => o with { ChangelogMaxCount = v },
            0, 1L << 50, "How much of a table's history is kept at most: number of revisions; 0 for no limit.", "revisions"),
        Ranged("changelog.max-age", OptionKinds.Duration, o => o.ChangelogMaxAge, (o, v) => o with { ChangelogMaxAge = v },
            TimeSpan.Zero, TimeSpan.FromDays(3650), "How much of a table's history is kept at most: age of changes; 0s for no limit."),
    ];

    private static OptionDefinition[] Limits() =>
    [
        Ranged("limits.max-key-bytes", OptionKinds.Bytes, o => o.MaxKeyBytes, (o, v) => o with { MaxKeyBytes = v },
            1, 64 << 10, "The longest key, and the longest end of a range."),
        Ranged("limits.max-value-bytes", OptionKinds.Bytes, o => o.MaxValueBytes, (o, v) => o with { MaxValueBytes = v },
            0, 64 << 20, "The longest value."),
        Ranged("limits.max-request-bytes", OptionKinds.Bytes, o => o.MaxRequestBytes, (o, v) => o with { MaxRequestBytes = v },
            64 << 10, 256 << 20, "The largest request message, after decompression."),
        Ranged("limits.page-bytes", OptionKinds.Bytes, o => o.PageBytes, (o, v) => o with { PageBytes = v },
            4 << 10, 256 << 20, "The most bytes of pairs in one reply; clients of the Go project read at most 4 MiB."),
        Ranged("limits.max-txn-operations", OptionKinds.Number, o => o.MaxTxnOperations, (o, v) => o with { MaxTxnOperations = v },
            1, 1_000_000, "The most compares and operations of one transaction, both branches together.", "operations"),
        Ranged("limits.max-iterations", OptionKinds.Number, o => o.MaxIterations, (o, v) => o with { MaxIterations = v },
            1, 100_000, "The most IterateRange calls at a time on this node; each holds a view of its table open.", "calls"),
        Ranged("limits.max-watches", OptionKinds.Number, o => o.MaxWatches, (o, v) => o with { MaxWatches = v },
            1, 1_000_000, "The most watches at a time on this node, those of all streams together; each takes up to 16 KiB when its client does not keep up, and with previous values up to a few hundred.", "watches"),
        Ranged("limits.max-reply-bytes-in-flight", OptionKinds.Bytes, o => o.MaxReplyBytesInFlight, (o, v) => o with { MaxReplyBytesInFlight = v },
            MiB, TiB, "The most bytes of large replies (Range, read-only Txn) that wait for their clients to read them; more is refused as overload."),
    ];

    private static OptionDefinition<T> Option<T>(
        string name, OptionKind<T> kind, Func<NodeOptions, T> get, Func<NodeOptions, T, NodeOptions> with, string sentence,
        Func<T, string?>? check = null) => new(name, kind, get, with, sentence, check: check);

    private static OptionDefinition<T> Ranged<T>(
        string name, OptionKind<T> kind, Func<NodeOptions, T> get, Func<NodeOptions, T, NodeOptions> with, T min, T max, string sentence,
        string unit = "") => new(name, kind, get, with, sentence, unit, min, max);

    private static OptionDefinition<string> Secret(
        string name, Func<NodeOptions, string> get, Func<NodeOptions, string, NodeOptions> with, string sentence) =>
        new(name, OptionKinds.Text, get, with, sentence, secret: true);
}
