using Regatta.Core;
using Regatta.Storage.Formats;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>
/// One table's state: a RocksDB of its own with the families data, changelog and meta. There is no WAL: the Raft log is the WAL, and what
/// was not flushed when the process ends is applied again from there. One writer; reads, flushes, checkpoints and trimming from any
/// thread.
/// </summary>
/// <remarks>
/// Disposing without <see cref="Flush"/> loses what was not flushed, exactly as a crash does. Views that are open then keep the
/// files open until they are disposed.
/// </remarks>
public sealed class TableStore : ITableStore, IDisposable
{
    private readonly TableDatabase _database;
    private readonly Changelog _changelog;
    private readonly LatestView _latest;
    private readonly Durability _durability;
    private readonly Lock _writing = new();
    private TableBatch? _shelf;
    private volatile PublishedState _applied;

    // What readers see. _pending is set before a write begins, _published after it is done; both only grow.
    private long _pending;
    private long _published;

    private TableStore(TableDatabase database, Changelog changelog, Durability durability, in AppliedState applied)
    {
        _database = database;
        _changelog = changelog;
        _applied = new PublishedState(applied);
        _durability = durability;
        _pending = _published = applied.Revision;
        _latest = new LatestView(database, this);
    }

    /// <summary>The directory of the table.</summary>
    public string Directory => _database.Directory;

    public AppliedState Applied => _applied.State;

    public ITableView Latest => _latest;

    public long Revision => Volatile.Read(ref _published);

    /// <summary>Oldest revision in the changelog; 0 when it is empty.</summary>
    public long OldestRevision => _changelog.Floor is var floor && floor <= Revision ? floor : 0;

    /// <summary>
    /// The state that is on disk: it is there after any crash, so the log may be cut below it. Read back from the disk, and written
    /// down before it is returned: a store that later opens with less is refused.
    /// </summary>
    /// <exception cref="StorageException">It cannot be read, or not be written down.</exception>
    public AppliedState Flushed
    {
        get
        {
            using DatabaseLease lease = _database.Lease();
            return _durability.Flushed();
        }
    }

    /// <summary>Estimated bytes of the table on disk and in write buffers, changelog included.</summary>
    public long DiskBytes
    {
        get
        {
            using DatabaseLease lease = _database.Lease();
            long bytes = 0;
            foreach (Family family in (ReadOnlySpan<Family>)[Family.Data, Family.Changelog, Family.Meta])
                bytes += _database.Property(family, "rocksdb.live-sst-files-size") + _database.Property(family, "rocksdb.cur-size-all-mem-tables");
            return bytes;
        }
    }

    /// <summary>
    /// Why nothing can be written any more: a write, a flush or RocksDB's own work in the background has failed. Null while all is well. Once
    /// set it stays, and the node must stop: what it has in memory will never reach the disk.
    /// </summary>
    public string? BackgroundError
    {
        get
        {
            using DatabaseLease lease = _database.Lease();
            return _durability.Failure;
        }
    }

    /// <summary>
    /// Opens a table's directory, or makes it if it does not exist. A directory that exists must hold a whole table.
    /// </summary>
    /// <exception cref="StorageCorruptionException">Something is missing or damaged. Nothing was changed.</exception>
    /// <exception cref="StorageRefusedException">Open elsewhere, or of another incarnation.</exception>
    public static TableStore Open(string directory, Incarnation incarnation, StorageEnvironment environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        string full = Path.GetFullPath(directory);
        if (!System.IO.Directory.Exists(full)) TableDirectory.Create(full, incarnation, environment);
        AppliedState flushed = FlushedFile.Read(full);
        if (flushed.Incarnation != incarnation)
            throw new StorageRefusedException(
                $"{full} holds incarnation {flushed.Incarnation}, not {incarnation}: it is another table, or another life of this one.");
        TableDatabase database = TableDatabase.Open(full, environment, create: false);
        try
        {
            using DatabaseLease lease = database.Lease();
            AppliedState applied = StoredState.Read(database, database.PointOptions);
            FlushedFile.Verify(full, flushed, applied);
            return new TableStore(database, Changelog.Load(database, environment, applied.Revision), new Durability(database, flushed), applied);
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Gives the closed table in <paramref name="directory"/>, which was another group's, its place in this one's log; durable when it returns. Interrupted, it can be
    /// done again.
    /// </summary>
    /// <param name="index">Of the entry by which it becomes this group's state.</param>
    /// <param name="term">Of that entry.</param>
    /// <exception cref="StorageException">It is damaged, or the disk cannot be written.</exception>
    public static void Rebase(string directory, long index, long term, StorageEnvironment environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        string full = Path.GetFullPath(directory);
        using TableDatabase database = TableDatabase.Open(full, environment, create: false);
        using DatabaseLease lease = database.Lease();
        AppliedState rebased = StoredState.Read(database, database.PointOptions) with { Index = index, Term = term };
        var batch = new TableBatch(database, static _ => { });
        StoredState.Put(batch, rebased);
        try
        {
            database.Write(batch.Handle);
        }
        finally
        {
            batch.Destroy();
        }

        database.Flush();
        FlushedFile.Write(full, rebased);
    }

    /// <summary>Disposed, and nobody reads from it any more: its directory can be deleted.</summary>
    public bool IsClosed => _database.IsReleased;

    /// <summary>What of the table in <paramref name="directory"/>, closed or open, is on disk at least; of a checkpoint: the state that it holds.</summary>
    /// <exception cref="StorageCorruptionException">There is no such record, or it is damaged.</exception>
    public static AppliedState ReadFlushed(string directory) => FlushedFile.Read(Path.GetFullPath(directory));

    /// <summary>Deletes a closed table's directory; no error if there is none. A crash in between is completed at the next start.</summary>
    public static void Drop(string directory) => TableDirectory.Drop(Path.GetFullPath(directory));

    public ITableBatch NewBatch()
    {
        // The batch counts as a user: it holds handles of the database.
        _database.AddReference();
        TableBatch batch = Interlocked.Exchange(ref _shelf, null) ?? new TableBatch(_database, GiveBack);
        batch.Begin();
        return batch;
    }

    public void Write(ITableBatch batch, in AppliedState next)
    {
        if (batch is not TableBatch own || own.Database != _database) throw new ArgumentException("This batch is not of this store.", nameof(batch));
        own.ThrowIfDisposed();
        using DatabaseLease lease = _database.Lease();
        lock (_writing)
        {
            VerifyStep(own, next);
            StoredState.Put(own, next);
            ChangelogMark? mark = _changelog.Prepare(own, next.Revision);
            Volatile.Write(ref _pending, next.Revision);
            _durability.Write(own);
            _changelog.Written(own, next.Revision, mark);
            _applied = new PublishedState(next);
            Volatile.Write(ref _published, next.Revision);
        }
    }

    public PointRead Get(ReadOnlySpan<byte> key, bool withValue)
    {
        using DatabaseLease lease = _database.Lease();
        long published = Volatile.Read(ref _published);
        using (PinnedValue found = _database.Get(Family.Data, _database.PointOptions, key))
        {
            // Nothing between `published` and now has touched the key, unless the record says so itself.
            if (found.Found)
            {
                RecordHeader header = ValueRecord.Decode(found.Bytes, key, Directory, out ReadOnlySpan<byte> value);
                return new PointRead(Math.Max(published, header.ModRevision), true, header, withValue ? TableView.Copy(value) : default);
            }
        }

        // Absent at `published`, unless a write that began meanwhile has deleted it.
        return Volatile.Read(ref _pending) == published ? new PointRead(published, false, default, default) : GetFromSnapshot(key, withValue);
    }

    public ITableView OpenView()
    {
        using DatabaseLease lease = _database.Lease();
        long published = Volatile.Read(ref _published);
        var view = new SnapshotView(_database);
        try
        {
            // No write has begun since `published` was complete: the snapshot shows just that. Else the snapshot itself knows.
            view.ShowRevision(Volatile.Read(ref _pending) == published ? published : view.StoredRevision());
            return view;
        }
        catch
        {
            view.Dispose();
            throw;
        }
    }

    public ChainRead ReadChain(long revision)
    {
        using DatabaseLease lease = _database.Lease();
        ArgumentOutOfRangeException.ThrowIfNegative(revision);
        // Published first: the applied state is never behind it.
        ArgumentOutOfRangeException.ThrowIfGreaterThan(revision, Revision);
        AppliedState applied = _applied.State;
        long oldest = Math.Min(_changelog.Floor, applied.Revision);
        if (revision == 0) return new ChainRead(true, default, oldest);
        if (revision == applied.Revision) return new ChainRead(true, applied.Chain, oldest);
        return new ChangelogReader(this, revision, withParts: false).Read(1) is ChangelogRead.Records { Items: [StoredChange record, ..] }
            ? new ChainRead(true, ChangeCodec.ReadChain(record.Record), oldest)
            : new ChainRead(false, default, Math.Min(_changelog.Floor, applied.Revision));
    }

    public IChangeReader OpenChanges(long from, bool withParts) => new ChangelogReader(this, from, withParts);

    /// <summary>
    /// Brings everything written so far to disk, all families in one atomic step, and waits for it. Writes go on meanwhile.
    /// </summary>
    /// <exception cref="StorageException">It failed: the node must stop.</exception>
    public void Flush()
    {
        using DatabaseLease lease = _database.Lease();
        _durability.Flush(_ => _changelog.DeleteFiles());
    }

    /// <summary>
    /// Makes a copy that can be opened as a table of its own, of the state at the call or a later one, by hard links where the file system has
    /// them. The directory must not exist; it appears whole or not at all.
    /// </summary>
    /// <exception cref="StorageException">It failed. If that was the flush, the node must stop.</exception>
    /// <exception cref="IOException">The directory exists, or cannot be written.</exception>
    public void Checkpoint(string directory)
    {
        string full = Path.GetFullPath(directory);
        if (Path.Exists(full)) throw new IOException($"{full} exists: a checkpoint goes into a new directory");
        using DatabaseLease lease = _database.Lease();
        // RocksDB flushes once more while it makes the copy: a write in between would be in the copy and not in what the copy says of itself.
        _durability.FlushAll(_writing, flushed =>
        {
            string staging = TableDirectory.Stage(full);
            _database.Checkpoint(staging);
            FlushedFile.Write(staging, flushed);
            DurableFile.MoveDirectory(staging, full);
        });
    }

    /// <summary>
    /// Reads every block of the table's files and checks it: also those that reads can do without (filters, statistics) or do not touch.
    /// Takes as long as the disk needs for <see cref="DiskBytes"/>.
    /// </summary>
    /// <exception cref="StorageCorruptionException">A block is damaged.</exception>
    public void Verify()
    {
        using DatabaseLease lease = _database.Lease();
        _database.VerifyChecksums();
    }

    /// <summary>Cuts the changelog to <paramref name="limits"/>. To be called now and then, whatever the limits: revisions age by it.</summary>
    /// <returns><see cref="OldestRevision"/> after it.</returns>
    public long TrimChangelog(ChangelogLimits limits)
    {
        ArgumentNullException.ThrowIfNull(limits);
        limits.Validate();
        using DatabaseLease lease = _database.Lease();
        lock (_writing)
        {
            _durability.ThrowIfFailed();
            long floor = _changelog.FloorFor(limits, _published);
            ChangelogMark? mark = _changelog.AgeMark(limits, _published);
            if (floor <= _changelog.Floor && mark is null)
                return OldestRevision;
            using var batch = (TableBatch)NewBatch();
            if (mark is { } due)
                Changelog.Put(batch, due);
            if (floor > _changelog.Floor)
            {
                _changelog.PrepareTrim(batch, floor);
                _changelog.Raise(floor);
            }

            _durability.Write(batch);
            _changelog.Marked(mark);
            return OldestRevision;
        }
    }

    /// <summary>Closes the store; what was not flushed is gone from it, as after a crash.</summary>
    public void Dispose()
    {
        Interlocked.Exchange(ref _shelf, null)?.Destroy();
        _database.Dispose();
    }

    /// <summary>First revision that the changelog has, or that it will have next if it is empty.</summary>
    internal long ChangelogFloor => _changelog.Floor;

    /// <summary>Bytes of changelog ever written, those trimmed since included. For the writer's thread.</summary>
    internal long ChangelogBytesWritten => _changelog.TotalBytes;

    /// <summary>About how many bytes of changelog were written behind a revision; 0 behind the newest one. Thread-safe.</summary>
    internal long ChangelogBytesBehind(long revision) => _changelog.BytesBehind(revision);

    internal TableDatabase Database => _database;

    private PointRead GetFromSnapshot(ReadOnlySpan<byte> key, bool withValue)
    {
        using ITableView view = OpenView();
        if (!withValue) return new PointRead(view.Revision, view.TryGetHeader(key, out RecordHeader only), only, default);
        bool found = view.TryGet(key, out RecordHeader header, out ReadOnlyMemory<byte> value);
        return new PointRead(view.Revision, found, header, value);
    }

    private void VerifyStep(TableBatch batch, in AppliedState next)
    {
        _durability.ThrowIfFailed();
        AppliedState now = _applied.State;
        bool forward = next.Index >= now.Index && next.Term >= now.Term && next.Revision >= now.Revision && next.Incarnation == now.Incarnation;
        if (!forward) throw new ArgumentException($"A step cannot lead from {now} to {next}.", nameof(next));
        // Readers tell states apart by their revision.
        if (batch.HasChanges && next.Revision == now.Revision) throw new ArgumentException($"Changes need a revision after {now.Revision}.", nameof(next));
        bool inStep = batch.LastRevision == 0 || (batch.FirstRevision > now.Revision && batch.LastRevision <= next.Revision);
        if (!inStep)
            throw new ArgumentException(
                $"Changelog records {batch.FirstRevision} to {batch.LastRevision} do not belong to the step from {now.Revision} to {next.Revision}.", nameof(batch));
    }

    private void GiveBack(TableBatch batch)
    {
        _database.DangerousRelease();
        bool kept = !_database.IsClosed && batch.IsReusable() && Interlocked.CompareExchange(ref _shelf, batch, null) is null;
        if (!kept) batch.Destroy();
    }
}
