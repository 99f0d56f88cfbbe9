using Microsoft.Extensions.Logging;

namespace Regatta.Raft;

/// <summary>What all groups of a node share.</summary>
internal sealed record GroupSetting(
    long NodeId, RaftLogStore Log, string ScratchPath, FailStop FailStop, DiskRoom Room, GroupOptions Options, ILoggerFactory Loggers, TimeProvider Time);
