using Microsoft.Extensions.Logging;

namespace Regatta.Raft;

/// <summary>What all groups of a node share.</summary>
internal sealed record GroupSetting(
    long NodeId,
    SiteMembers Members,
    RaftLogStore Log,
    string ScratchPath,
    FailStop FailStop,
    DiskRoom Room,
    GroupOptions Options,
    ILoggerFactory Loggers,
    TimeProvider Time)
{
    /// <summary>A group (first argument) needs the state of its leader's node (second): it cannot be helped by entries any more. Cheap, from any thread.</summary>
    public Action<long, long> NeedSnapshot { get; init; } = static (_, _) => { };
}
