using Regatta.Core;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>
/// Makes and removes a table's directory so that under its own name it is whole or not there at all: it is made as
/// <c>NAME.creating</c> and renamed, it is renamed to <c>NAME.dropped</c> and removed.
/// </summary>
internal static class TableDirectory
{
    private const string Creating = ".creating";
    private const string Dropped = ".dropped";

    // RocksDB makes a checkpoint under a name of its own beside the one it is given.
    private const string CheckpointTemporary = Creating + ".tmp";

    internal static void Create(string directory, Incarnation incarnation, StorageEnvironment environment)
    {
        string staging = Stage(directory);
        var empty = new AppliedState(0, 0, 0, incarnation, default);
        using (TableDatabase database = TableDatabase.Open(staging, environment, create: true))
        {
            using DatabaseLease lease = database.Lease();
            var batch = new TableBatch(database, static _ => { });
            StoredState.Put(batch, empty);
            database.Write(batch.Handle);
            batch.Destroy();
            database.Flush();
        }

        FlushedFile.Write(staging, empty);
        DurableFile.MoveDirectory(staging, directory);
    }

    /// <summary>The name under which <paramref name="directory"/> is made; its parent exists then, and nothing is there.</summary>
    internal static string Stage(string directory)
    {
        DurableFile.CreateDirectory(DurableFile.Parent(directory));
        string staging = directory + Creating;
        Remove(staging);
        Remove(directory + CheckpointTemporary);
        return staging;
    }

    internal static void Drop(string directory)
    {
        string tombstone = directory + Dropped;
        Remove(tombstone);
        if (!Directory.Exists(directory)) return;
        DurableFile.MoveDirectory(directory, tombstone);
        Remove(tombstone);
    }

    /// <summary>Removes what a crash has left of directories that were being made or dropped.</summary>
    internal static void CompleteInterrupted(string parent)
    {
        string[] unfinished = [Creating, Dropped, CheckpointTemporary];
        foreach (string directory in Directory.EnumerateDirectories(parent))
            if (unfinished.Any(suffix => directory.EndsWith(suffix, StringComparison.Ordinal)))
                Remove(directory);
    }

    // Not synced: what a crash leaves of it is removed at the next start.
    private static void Remove(string directory)
    {
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }
}
