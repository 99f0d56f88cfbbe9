using System.Buffers.Binary;
using RocksDbSharp;

namespace Regatta.Raft;

/// <summary>
/// The log of all groups of this node: one RocksDB, so that one sync per round serves every table and crash recovery, checksums and
/// garbage collection are RocksDB's. Reads may come from any thread; writes go through one <see cref="RaftLogWriter"/>.
/// </summary>
internal sealed class RaftLogStore : IDisposable
{
    private const string Advice =
        "Nothing was changed. Restore the node's data directory from a copy, or move it away and let the node start empty if its data is held elsewhere.";

    private readonly RocksDb _database;
    private readonly Cache _cache;
    private readonly SyncWitness _witness;
    private readonly ReadOptions _verified = new ReadOptions().SetVerifyChecksums(true);
    private readonly RaftLogWriter _writer;
    private bool _disposed;

    private RaftLogStore(
        RocksDb database, Cache cache, SyncWitness witness, string directory, RaftLogOptions options, FailStop failStop, Action? beforeWrite, GroupTrace? trace)
    {
        _database = database;
        _cache = cache;
        _witness = witness;
        Directory = directory;
        Options = options;
        Trace = trace;
        Budget = new ByteBudget(options.MaxPendingBytes);
        _writer = new RaftLogWriter(database, directory, witness, Budget, failStop, beforeWrite, trace);
    }

    public string Directory { get; }

    public RaftLogOptions Options { get; }

    /// <summary>Null: nothing is written down.</summary>
    public GroupTrace? Trace { get; }

    /// <summary>Rounds that were written and synced, over all lives of this log.</summary>
    public long Rounds => _witness.Round;

    /// <summary>Bytes of entries on their way to disk. Who makes an entry's record takes its length here first; the writer gives it back.</summary>
    public ByteBudget Budget { get; }

    /// <param name="trace">Stays the caller's.</param>
    /// <exception cref="InvalidDataException">A file is damaged: a checksum, or a write-ahead log that was cut short.</exception>
    /// <exception cref="IOException">The files cannot be read or written.</exception>
    public static RaftLogStore Open(string directory, RaftLogOptions options, FailStop failStop, Action? beforeWrite = null, GroupTrace? trace = null)
    {
        System.IO.Directory.CreateDirectory(directory);
        SyncWitness witness = SyncWitness.Open(directory);
        string? newest = WriteAheadLogs.Newest(directory);
        RaftLogStore? store = null;
        try
        {
            Cache cache = Cache.CreateLru((ulong)options.BlockCacheBytes);
            RocksDb database = RocksDb.Open(DatabaseOptions(options, cache), directory);
            store = new RaftLogStore(database, cache, witness, directory, options, failStop, beforeWrite, trace);
            long rounds = store.CheckRounds(newest);
            trace?.Began(rounds);
            store._writer.Start(rounds);
            return store;
        }
        catch (Exception e)
        {
            store?.Dispose();
            witness.Dispose();
            throw e is RocksDbException ? Refused(directory, e) : e;
        }
    }

    /// <summary>Queues one group's steps; see <see cref="RaftLogWriter.Enqueue"/>.</summary>
    public Task Enqueue(params ReadOnlySpan<LogOp> ops) => _writer.Enqueue(ops);

    /// <summary>See <see cref="RaftLogWriter.Settled"/>: only then is what was written found by those who read.</summary>
    public Task Settled() => _writer.Settled();

    /// <summary>Removes every trace of a group in one synced round.</summary>
    public Task DropAsync(long group) => Enqueue(LogOp.Delete(group, LogKey.HardState, long.MaxValue - 1));

    /// <summary>All groups that have a record here, in order of their ids.</summary>
    public List<long> Groups()
    {
        List<long> groups = [];
        using Iterator iterator = _database.NewIterator(readOptions: _verified);
        for (iterator.Seek(LogKey.Of(LogKey.Rounds + 1, 0)); iterator.Valid(); iterator.Seek(LogKey.Of(groups[^1] + 1, 0)))
            groups.Add(LogKey.Group(iterator.GetKeySpan()));
        Check(iterator, "its list of groups");
        return groups;
    }

    /// <summary>Null for a group that was never here.</summary>
    /// <exception cref="InvalidDataException">The record is damaged.</exception>
    public HardState? ReadHardState(long group)
    {
        byte[]? record = Get(group, LogKey.HardState);
        if (record is null)
            return null;
        if (HardState.Decode(record, group, out HardState state) is { } fault)
            throw Damaged(group, "the record of term, vote and cut", fault);
        return state;
    }

    /// <summary>The record of one entry, verified.</summary>
    /// <exception cref="InvalidDataException">It is missing or damaged.</exception>
    public byte[] ReadEntry(long group, long index)
    {
        byte[] record = Get(group, index) ?? throw Damaged(group, $"entry {index}", "it is missing");
        return Verified(record, group, index);
    }

    /// <summary>Visits the verified records from <paramref name="from"/> to <paramref name="to"/> in order until the visitor returns false. Holes are the visitor's to find.</summary>
    /// <exception cref="InvalidDataException">A record is damaged.</exception>
    public void Scan(long group, long from, long to, Func<long, byte[], bool> visit)
    {
        ReadOptions bounded = new ReadOptions().SetVerifyChecksums(true).SetFillCache(false).SetIterateUpperBound(LogKey.Of(group, to + 1));
        using Iterator iterator = _database.NewIterator(readOptions: bounded);
        for (iterator.Seek(LogKey.Of(group, from)); iterator.Valid(); iterator.Next())
        {
            long index = LogKey.Index(iterator.GetKeySpan());
            if (!visit(index, Verified(iterator.GetValueSpan().ToArray(), group, index)))
                break;
        }

        Check(iterator, $"group {group}");
        GC.KeepAlive(bounded);
    }

    /// <summary>A sentence that names directory, group and place.</summary>
    public InvalidDataException Damaged(long group, string what, string fault) =>
        new($"The Raft log in '{Directory}' is damaged: group {group}, {what}: {fault}. {Advice}");

    /// <summary>What RocksDB failed to do in the background (a flush, a compaction); null while all is well.</summary>
    public string? BackgroundError() => _database.GetProperty("rocksdb.background-errors") is { } count && count != "0"
        ? $"The database of the Raft log in '{Directory}' reports {count} background error(s); see the file LOG there."
        : null;

    /// <summary>Writes and syncs what is queued, then closes.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _writer.Dispose();
        _database.Dispose();
        _witness.Dispose();
        GC.KeepAlive(_cache);
    }

    private static DbOptions DatabaseOptions(RaftLogOptions options, Cache cache)
    {
        DbOptions database = new DbOptions()
            .SetCreateIfMissing()
            .SetParanoidChecks()
            .SetCompression(Compression.No)
            .SetWriteBufferSize((ulong)options.WriteBufferBytes)
            .SetMaxWriteBufferNumber(options.WriteBuffers)
            .SetMaxTotalWalSize((ulong)options.MaxTotalWalBytes)
            .SetTargetFileSizeBase(64 << 20)
            .SetMaxOpenFiles(256)
            .SetInfoLogLevel(InfoLogLevel.Warn)
            .SetKeepLogFileNum(2)
            .SetStatsDumpPeriodSec(0)
            // PointInTime, the default, opens with everything behind a flipped byte silently gone.
#if DEBUG
            .SetWalRecoveryMode(DebugBugs.Current == DebugBug.DamagedLogAccepted ? Recovery.PointInTime : Recovery.TolerateCorruptedTailRecords)
#else
            .SetWalRecoveryMode(Recovery.TolerateCorruptedTailRecords)
#endif
            .SetBlockBasedTableFactory(new BlockBasedTableOptions().SetBlockCache(cache).SetBlockSize(32 << 10));
        Native native = Native.Instance;
        native.rocksdb_options_set_avoid_flush_during_recovery(database.Handle, 0);
        native.rocksdb_options_set_avoid_flush_during_shutdown(database.Handle, 1);
        native.rocksdb_options_set_track_and_verify_wals_in_manifest(database.Handle, 1);
        native.rocksdb_options_set_track_and_verify_wals(database.Handle, 1);
        return database;
    }

    private static Exception Refused(string directory, Exception cause) => cause.Message.StartsWith("Corruption", StringComparison.Ordinal)
        ? new InvalidDataException($"The Raft log in '{directory}' is damaged: {cause.Message}{InFile(directory, cause)}. {Advice}", cause)
        : new IOException($"The Raft log in '{directory}' cannot be opened: {cause.Message}", cause);

    private static string InFile(string directory, Exception cause) =>
        !cause.Message.Contains(directory, StringComparison.Ordinal) && WriteAheadLogs.GivenUp(directory) is { } path ? $" in the file '{path}'" : "";

    /// <param name="newest">The newest write-ahead log that was there before the database was opened, if any.</param>
    private long CheckRounds(string? newest)
    {
        byte[]? record = Get(LogKey.Rounds, 0);
        long rounds = record is null ? 0 : BinaryPrimitives.ReadInt64LittleEndian(record);
#if DEBUG
        if (DebugBugs.Current == DebugBug.DamagedLogAccepted)
            return rounds;
#endif
        if (rounds >= _witness.Round)
            return rounds;
        throw new InvalidDataException(
            $"The Raft log in '{Directory}' is damaged: it ends with round {rounds}, and round {_witness.Round} was synced. "
            + (newest is null ? "Its newest write-ahead log (*.log) is missing" : $"The end of the file '{newest}' is damaged") + $". {Advice}");
    }

    private byte[]? Get(long group, long index)
    {
        try
        {
            return _database.Get(LogKey.Of(group, index), readOptions: _verified);
        }
        catch (RocksDbException e)
        {
            throw Damaged(group, $"index {index}", e.Message);
        }
    }

    private byte[] Verified(byte[] record, long group, long index) =>
        LogRecord.Fault(record, group, index) is { } fault ? throw Damaged(group, $"entry {index}", fault) : record;

    private void Check(Iterator iterator, string what)
    {
        try
        {
            // An iterator that meets a damaged block just ends: without this a damaged file would look like a shorter log.
            Native.Instance.rocksdb_iter_get_error(iterator.Handle);
        }
        catch (RocksDbException e)
        {
            throw new InvalidDataException($"The Raft log in '{Directory}' is damaged while reading {what}: {e.Message} {Advice}", e);
        }
    }
}
