using Microsoft.Extensions.Logging;
using Regatta.Raft;
using Regatta.Storage;

namespace Regatta.Node;

/// <summary>Opens the groups of a node as its options say.</summary>
internal static class GroupHosting
{
    public static async Task<IGroupHost> OpenAsync(
        NodeDirectory directory, NodeOptions options, StartProgress progress, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken) =>
        await GroupHost.OpenAsync(directory, Options(options) with { Progress = progress }, loggers, time, cancellationToken);

    private static GroupHostOptions Options(NodeOptions options) => new()
    {
        Log = options.Log,
        Groups = options.HasOtherNodes ? options.Groups : options.Groups with { RetainedLogBytes = 0 },
        Site = options.HasOtherNodes
            ? new SiteOptions
            {
                Name = options.ClusterName,
                Members = options.RaftInitialMembers,
                ListenAddress = options.RaftAddress,
                SnapshotBytesPerSecond = options.RaftRateLimitBytes,
            }
            : null,
        Storage = options.Storage,
        Changelog = new ChangelogLimits(
            options.ChangelogMaxCount == 0 ? null : options.ChangelogMaxCount,
            options.ChangelogMaxBytes == 0 ? null : options.ChangelogMaxBytes,
            options.ChangelogMaxAge == TimeSpan.Zero ? null : options.ChangelogMaxAge),
        LowWaterBytes = options.DiskLowWaterBytes,
    };
}
