using System.Diagnostics.Metrics;

namespace Regatta.Raft;

/// <summary>What the Raft part counts; read through the meter <c>Regatta</c>.</summary>
internal static class RaftMetrics
{
    private static readonly Meter Meter = new("Regatta");

    public static readonly Counter<long> Syncs =
        Meter.CreateCounter<long>("regatta.raft.log.syncs", "{sync}", "Rounds of the log that were written and synced");

    public static readonly Counter<long> LogEntries =
        Meter.CreateCounter<long>("regatta.raft.log.entries", "{entry}", "Entries written to the log");

    public static readonly Counter<long> LogBytes =
        Meter.CreateCounter<long>("regatta.raft.log.bytes", "By", "Bytes of entries written to the log");

    public static readonly Histogram<double> SyncSeconds =
        Meter.CreateHistogram<double>("regatta.raft.log.sync.duration", "s", "Time of one write and sync of the log");

    public static readonly Counter<long> Commands =
        Meter.CreateCounter<long>("regatta.raft.commands", "{command}", "Commands proposed to the log");

    public static readonly Counter<long> Rejected =
        Meter.CreateCounter<long>("regatta.raft.rejected", "{command}", "Commands refused before they were in the log");

    public static readonly Counter<long> ApplyBatches =
        Meter.CreateCounter<long>("regatta.raft.apply.batches", "{batch}", "Write batches applied to tables");

    public static readonly Counter<long> AppliedEntries =
        Meter.CreateCounter<long>("regatta.raft.apply.entries", "{entry}", "Entries applied to tables");

    public static readonly Counter<long> ReadBarriers =
        Meter.CreateCounter<long>("regatta.raft.barriers", "{round}", "Rounds that confirmed leadership for linearizable reads");

    public static readonly Counter<long> Flushes =
        Meter.CreateCounter<long>("regatta.raft.flushes", "{flush}", "Tables flushed so that their log could be cut");

    public static readonly Counter<long> PeerConnections =
        Meter.CreateCounter<long>("regatta.raft.peer.connections", "{connection}", "Connections with other nodes that both sides accepted");

    public static readonly Counter<long> PeerFrames =
        Meter.CreateCounter<long>("regatta.raft.peer.frames", "{frame}", "Frames written to other nodes");

    public static readonly Counter<long> PeerFlushes =
        Meter.CreateCounter<long>("regatta.raft.peer.flushes", "{flush}", "Flushes of connections with other nodes; each sends many frames at once");

    public static readonly Counter<long> PeerBytes =
        Meter.CreateCounter<long>("regatta.raft.peer.bytes", "By", "Bytes written to other nodes");

    public static readonly Counter<long> PeerCallsFailed =
        Meter.CreateCounter<long>("regatta.raft.peer.calls.failed", "{call}", "Calls to other nodes that were refused, cancelled or cut off");
}
