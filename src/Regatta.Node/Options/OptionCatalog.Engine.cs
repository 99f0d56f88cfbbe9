using Regatta.Raft;

namespace Regatta.Node;

public static partial class OptionCatalog
{
    private const long KiB = 1 << 10;
    private const long MiB = 1 << 20;
    private const long GiB = 1 << 30;
    private const long TiB = 1L << 40;

    private static OptionDefinition[] Groups() =>
    [
        Ranged("raft.entry-bytes", OptionKinds.Bytes, o => o.Groups.EntryBytes, (o, v) => o with { Groups = o.Groups with { EntryBytes = (int)v } },
            KiB, 64 * MiB, "How many bytes of writes go into one log entry; a single larger write goes alone."),
        Ranged("raft.entry-commands", OptionKinds.Number, o => o.Groups.EntryCommands, (o, v) => o with { Groups = o.Groups with { EntryCommands = (int)v } },
            1, 1_000_000, "How many writes go into one log entry at most.", "writes"),
        Ranged("raft.max-waiting", OptionKinds.Number, o => o.Groups.MaxWaiting, (o, v) => o with { Groups = o.Groups with { MaxWaiting = (int)v } },
            1, 10_000_000, "How many writes may wait for one table; one more is refused as overload.", "writes"),
        Ranged("raft.max-waiting-bytes", OptionKinds.Bytes, o => o.Groups.MaxWaitingBytes, (o, v) => o with { Groups = o.Groups with { MaxWaitingBytes = v } },
            MiB, TiB, "How many bytes of writes may wait for one table; more is refused as overload."),
        Ranged("raft.apply-bytes", OptionKinds.Bytes, o => o.Groups.ApplyBytes, (o, v) => o with { Groups = o.Groups with { ApplyBytes = v } },
            KiB, GiB, "How many bytes of committed entries are applied to a table as one step."),
        Ranged("raft.election-timeout", OptionKinds.Duration, o => o.Groups.ElectionTimeout, (o, v) => o with { Groups = WithElectionTimeout(o.Groups, v) },
            TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(1),
            "How long a node hears nothing from a table's leader before it stands for election, and up to half as long again; the same on all nodes."),
        Ranged("raft.heartbeat-interval", OptionKinds.Duration,
            o => o.Groups.HeartbeatInterval, (o, v) => o with { Groups = o.Groups with { HeartbeatInterval = v } },
            TimeSpan.FromMilliseconds(10), TimeSpan.FromSeconds(30), "How often a table's leader says that it lives; less than half of raft.election-timeout."),
        Ranged("raft.barrier-timeout", OptionKinds.Duration, o => o.Groups.BarrierTimeout, (o, v) => o with { Groups = o.Groups with { BarrierTimeout = v } },
            Millisecond, TimeSpan.FromHours(1), "How long a linearizable read waits for leadership to be confirmed."),
        Ranged("raft.stall-timeout", OptionKinds.Duration, o => o.Groups.StallTimeout, (o, v) => o with { Groups = o.Groups with { StallTimeout = v } },
            Millisecond, TimeSpan.FromHours(1), "After how long without a commit a group that leads is reported as broken."),
        Ranged("raft.flush-bytes", OptionKinds.Bytes, o => o.Groups.FlushBytes, (o, v) => o with { Groups = o.Groups with { FlushBytes = v } },
            KiB, TiB, "How much of a table's log may be ahead of its files; bounds the log, and the time to start after a crash."),
        Ranged("raft.flush-interval", OptionKinds.Duration, o => o.Groups.FlushInterval, (o, v) => o with { Groups = o.Groups with { FlushInterval = v } },
            Millisecond, TimeSpan.FromDays(1), "After how long a table is flushed that is written to little, so that its log can be cut."),
        Ranged("raft.retained-log-bytes", OptionKinds.Bytes, o => o.Groups.RetainedLogBytes, (o, v) => o with { Groups = o.Groups with { RetainedLogBytes = v } },
            0, TiB, "How much log stays behind what a table's files cover, so that a node that was away needs no snapshot; a node without others keeps none."),
    ];

    // Nodes draw their time from the range, so that they rarely stand at once.
    private static GroupOptions WithElectionTimeout(GroupOptions groups, TimeSpan least) =>
        groups with { ElectionTimeout = least, MaxElectionTimeout = least * 1.5 };

    private static OptionDefinition[] Log() =>
    [
        Ranged("log.write-buffer-bytes", OptionKinds.Bytes, o => o.Log.WriteBufferBytes, (o, v) => o with { Log = o.Log with { WriteBufferBytes = v } },
            MiB, 4 * GiB, "Memory of one write buffer of the Raft log, which all tables share."),
        Ranged("log.write-buffers", OptionKinds.Number, o => o.Log.WriteBuffers, (o, v) => o with { Log = o.Log with { WriteBuffers = (int)v } },
            2, 64, "Write buffers of the Raft log, those that are being flushed included.", "buffers"),
        Ranged("log.max-wal-bytes", OptionKinds.Bytes, o => o.Log.MaxTotalWalBytes, (o, v) => o with { Log = o.Log with { MaxTotalWalBytes = v } },
            MiB, TiB, "How much write-ahead log the Raft log's database keeps; bounds the time to open it after a crash."),
        Ranged("log.block-cache-bytes", OptionKinds.Bytes, o => o.Log.BlockCacheBytes, (o, v) => o with { Log = o.Log with { BlockCacheBytes = v } },
            MiB, TiB, "Memory for blocks of the Raft log's files."),
        Ranged("log.max-pending-bytes", OptionKinds.Bytes, o => o.Log.MaxPendingBytes, (o, v) => o with { Log = o.Log with { MaxPendingBytes = v } },
            MiB, TiB, "How many bytes of entries may wait for their sync, over all tables."),
        Ranged("log.tail-cache-bytes", OptionKinds.Bytes, o => o.Log.TailCacheBytes, (o, v) => o with { Log = o.Log with { TailCacheBytes = v } },
            0, TiB, "How many bytes of a table's newest entries stay in memory."),
    ];

    private static OptionDefinition[] Storage() =>
    [
        Ranged("storage.block-cache-size", OptionKinds.Bytes, o => o.Storage.BlockCacheBytes, (o, v) => o with { Storage = o.Storage with { BlockCacheBytes = v } },
            MiB, TiB, "Memory for blocks of all tables' files."),
        Ranged("storage.write-buffer-bytes", OptionKinds.Bytes, o => o.Storage.WriteBufferBytes, (o, v) => o with { Storage = o.Storage with { WriteBufferBytes = v } },
            MiB, TiB, "Memory for unflushed writes of all tables, beyond which the fullest are flushed."),
        Ranged("storage.table-write-buffer-bytes", OptionKinds.Bytes,
            o => o.Storage.TableWriteBufferBytes, (o, v) => o with { Storage = o.Storage with { TableWriteBufferBytes = v } },
            64 * KiB, 4 * GiB, "Memory for unflushed writes of one table, beyond which it is flushed."),
        Ranged("storage.block-bytes", OptionKinds.Bytes, o => o.Storage.BlockBytes, (o, v) => o with { Storage = o.Storage with { BlockBytes = (int)v } },
            KiB, MiB, "Size of a block in the tables' files: what a read that is not cached costs."),
        Ranged("storage.filter-bits-per-key", OptionKinds.Number,
            o => o.Storage.FilterBitsPerKey, (o, v) => o with { Storage = o.Storage with { FilterBitsPerKey = (int)v } },
            1, 30, "Size of the filters that spare reads of absent keys the disk.", "bits"),
        Ranged("storage.compaction-threads", OptionKinds.Number,
            o => o.Storage.CompactionThreads, (o, v) => o with { Storage = o.Storage with { CompactionThreads = (int)v } },
            1, 64, "Threads that compact tables.", "threads"),
        Ranged("storage.flush-threads", OptionKinds.Number, o => o.Storage.FlushThreads, (o, v) => o with { Storage = o.Storage with { FlushThreads = (int)v } },
            1, 64, "Threads that flush tables.", "threads"),
        Ranged("disk.low-water-bytes", OptionKinds.Bytes, o => o.DiskLowWaterBytes, (o, v) => o with { DiskLowWaterBytes = v },
            0, 1L << 50, "With less free space than this below data-dir writes are refused until there is room again; 0 turns the check off."),
    ];
}
