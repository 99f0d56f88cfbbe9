using System.Diagnostics.CodeAnalysis;
using DotNext.Net.Cluster.Consensus.Raft;
using Microsoft.Extensions.Logging;

namespace Regatta.Raft;

/// <summary>DotNext's Raft for one group: elections, replication rounds and commit; our log and our members.</summary>
internal sealed class ConsensusGroup : RaftCluster<GroupMember>
{
    private readonly GroupMember _local;
    private readonly ILogger _logger;

    [SetsRequiredMembers]
    public ConsensusGroup(GroupLog log, long nodeId, GroupOptions options, ILogger logger)
        : base(new Configuration(options))
    {
        AuditTrail = log;
        _local = new GroupMember(nodeId, () => Leader);
        _logger = logger;
    }

    /// <summary>0: none is known.</summary>
    public long LeaderNodeId => Leader?.NodeId ?? 0;

    /// <summary>This node leads and has everything applied that was in its log when it began to.</summary>
    /// <exception cref="System.Diagnostics.UnreachableException">The group is broken and must be made anew.</exception>
    public bool Leads => !LeadershipToken.IsCancellationRequested;

    protected override ILogger Logger => _logger;

    /// <summary>Starts the only member. It leads at once, in a term of its own: entries of different lives of a node never share index and term.</summary>
    public override async Task StartAsync(CancellationToken token = default)
    {
        ConfigurationChangeScope scope = await ChangeConfigurationAsync(token).ConfigureAwait(false);
        await using (scope.ConfigureAwait(false))
            scope.MarkAsAdded(_local);
        await AuditTrail.IncrementTermAsync(_local.Id, token).ConfigureAwait(false);
        await base.StartAsync(token).ConfigureAwait(false);
        StartFollowing();
    }

    private sealed class Configuration(GroupOptions options) : IClusterMemberConfiguration
    {
        /// <summary>A heartbeat comes this share of the election time-out after the last one.</summary>
        public double HeartbeatThreshold => 0.3;

        public ElectionTimeout ElectionTimeout { get; } = new()
        {
            LowerValue = (int)options.ElectionTimeout.TotalMilliseconds,
            UpperValue = (int)options.MaxElectionTimeout.TotalMilliseconds,
        };

        public bool Standby => false;

        public bool AggressiveLeaderStickiness => true;

        /// <summary>Off: a lease trusts clocks. Linearizable reads confirm leadership instead.</summary>
        public bool IsLeaderLeaseEnabled => false;
    }
}
