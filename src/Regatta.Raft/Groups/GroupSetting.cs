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
    /// <summary>By which groups that lead tell the other nodes what is committed.</summary>
    public CommitNotices Notices { get; } = new(Members, Options.AppendTimeout, Time);

    /// <summary>Told when a group cannot be helped by entries any more. Cheap, from any thread, again and again.</summary>
    public Action<SnapshotNeed> NeedSnapshot { get; init; } = static _ => { };
}

/// <summary>A group needs the state of its leader's node, or of any other one, up to an index at least.</summary>
/// <param name="LeaderNodeId">0: of any node that has it.</param>
internal readonly record struct SnapshotNeed(long GroupId, long LeaderNodeId, long LeastIndex);
