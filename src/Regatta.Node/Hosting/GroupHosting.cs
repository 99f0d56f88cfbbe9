using Microsoft.Extensions.Logging;
using Regatta.Protocol.Channels;
using Regatta.Raft;
using Regatta.Replication;
using Regatta.Storage;

namespace Regatta.Node;

/// <summary>Opens the groups of a node as its options say.</summary>
internal static class GroupHosting
{
    public static async Task<IGroupHost> OpenAsync(
        NodeDirectory directory, NodeOptions options, StartProgress progress, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken) =>
        await GroupHost.OpenAsync(
            directory, Options(options, token => NewHistoryAsync(options, progress, loggers, time, token)) with { Progress = progress }, loggers, time, cancellationToken);

    /// <summary>The history of a site whose nodes start for the first time.</summary>
    public static async Task<Guid> NewHistoryAsync(
        NodeOptions options, StartProgress progress, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken)
    {
        if (options.Role == NodeRole.Leader)
            return Guid.NewGuid();
        using ChannelSet endpoints = FollowerParts.Endpoints(options, isUnderGo: false, time);
        return await new LeaderHistory(new GrpcLeaderSite(endpoints, time), progress, time, loggers.CreateLogger<LeaderHistory>()).AskAsync(cancellationToken);
    }

    private static GroupHostOptions Options(NodeOptions options, Func<CancellationToken, Task<Guid>> newHistory) => new()
    {
        Log = options.Log,
        Groups = options.HasOtherNodes ? options.Groups : options.Groups with { RetainedLogBytes = 0 },
        Site = options.HasOtherNodes
            ? new SiteOptions
            {
                Name = options.ClusterName,
                Members = options.RaftInitialMembers,
                ListenAddress = options.RaftAddress,
                NewHistory = newHistory,
            }
            : null,
        SnapshotBytesPerSecond = options.RaftRateLimitBytes,
        Storage = options.Storage,
        TracePath = options.RaftTraceDirectory.Length > 0 ? options.RaftTraceDirectory : null,
        Changelog = new ChangelogLimits(
            options.ChangelogMaxCount == 0 ? null : options.ChangelogMaxCount,
            options.ChangelogMaxBytes == 0 ? null : options.ChangelogMaxBytes,
            options.ChangelogMaxAge == TimeSpan.Zero ? null : options.ChangelogMaxAge),
        LowWaterBytes = options.DiskLowWaterBytes,
    };
}
