using Regatta.Core;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>
/// What of a table is on disk, and whether more can still get there. The first write or flush that fails ends it: what is in
/// memory will never be durable, so everything that would build on it is refused from then on.
/// </summary>
internal sealed class Durability
{
    private readonly TableDatabase _database;
    private readonly Lock _gate = new();
    private AppliedState _written;
    private volatile string? _failure;

    /// <param name="written">What the table's <c>FLUSHED</c> file says.</param>
    internal Durability(TableDatabase database, in AppliedState written)
    {
        _database = database;
        _written = written;
    }

    /// <summary>The sticky reason; null while all is well. Needs a reference on the database.</summary>
    internal string? Failure =>
        _failure ?? (_database.Property(Family.Data, "rocksdb.background-errors") == 0 ? null : AskRocksDb());

    internal void ThrowIfFailed()
    {
        if (_failure is { } failure) throw new StorageException($"{_database.Directory} takes no more writes since: {failure}");
    }

    /// <summary>Needs a reference on the database.</summary>
    internal void Write(TableBatch batch)
    {
        try
        {
            _database.Write(batch.Handle);
        }
        catch (StorageException e)
        {
            _failure ??= e.Message;
            throw;
        }
    }

    /// <summary>What is on disk; nobody hears of it before it is written down. Needs a reference on the database.</summary>
    internal AppliedState Flushed()
    {
        lock (_gate) return Guard();
    }

    /// <summary>Flushes, then runs <paramref name="behind"/> with what is on disk now, before another flush. Needs a reference on the database.</summary>
    internal void Flush(Action<AppliedState> behind)
    {
        lock (_gate) behind(FlushCore());
    }

    /// <summary>
    /// As <see cref="Flush"/>, but nothing is written either while <paramref name="behind"/> runs. Writers wait for the little that came while most of it was
    /// flushed. Needs a reference on the database.
    /// </summary>
    /// <param name="writing">What writers hold. Whoever holds it must not ask for a flush.</param>
    internal void FlushAll(Lock writing, Action<AppliedState> behind)
    {
        lock (_gate)
        {
            FlushCore();
            lock (writing) behind(FlushCore());
        }
    }

    private AppliedState FlushCore()
    {
        ThrowIfFailed();
        try
        {
            _database.Flush();
            return Guard();
        }
        catch (StorageException e)
        {
            _failure ??= e.Message;
            throw;
        }
    }

    private AppliedState Guard()
    {
        AppliedState state = StoredState.ReadPersisted(_database);
        if (state == _written) return state;
        try
        {
            FlushedFile.Write(_database.Directory, state);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"{_database.Directory}: what is flushed could not be written down: {e.Message}", e);
        }

        _written = state;
        return state;
    }

    /// <summary>A full disk keeps RocksDB from writing even its LOG, and what it had begun to write is gone when we look.</summary>
    private string LikelyCause()
    {
        const long roomOfAFlush = 64 << 20;
        long free = FreeSpace.BytesAvailable(_database.Directory);
        return free < roomOfAFlush
            ? $"probably no space left: {free} bytes are free on its disk, and its LOG file there may say more."
            : "its LOG file there says which.";
    }

    /// <summary>RocksDB tells the reason of a failure in the background only to the next writer; an empty batch is one.</summary>
    private string AskRocksDb()
    {
        var nothing = new TableBatch(_database, static _ => { });
        try
        {
            _database.Write(nothing.Handle);
            return _failure ??= $"{_database.Directory}: RocksDB reports an error in the background; {LikelyCause()}";
        }
        catch (Exception e) when (e is StorageException or IOException)
        {
            return _failure ??= e.Message;
        }
        finally
        {
            nothing.Destroy();
        }
    }
}
