using Microsoft.Win32.SafeHandles;
using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// One snapshot on the node that serves it: how it is made, read and removed. Who uses it and since when is kept here too, but belongs to
/// <see cref="SnapshotSource"/> and is guarded by its lock.
/// </summary>
internal sealed class ServedSnapshot(Guid id, long group, string directory)
{
    public Guid Id => id;

    public long Group => group;

    /// <summary>Nodes that have opened it and not closed it. By node, not a count: a reply may get lost, and the request come again.</summary>
    public HashSet<long> Users { get; } = [];

    /// <summary>Reads under way.</summary>
    public int Reading { get; set; }

    /// <summary>When it was opened or read last; a timestamp.</summary>
    public long UsedAt { get; set; }

    /// <summary>When it was whole; a timestamp.</summary>
    public long MadeAt { get; set; }

    /// <summary>Null until it is whole.</summary>
    public SnapshotManifest? Manifest { get; set; }

    /// <summary>Completes when it is whole, with an exception if it could not be made. Does not depend on who asked for it first.</summary>
    public Task<SnapshotManifest> Making { get; set; } = Task.FromException<SnapshotManifest>(new InvalidOperationException("not begun"));

    /// <summary>Takes as long as the disk needs to read the whole table.</summary>
    public SnapshotManifest Make(SnapshotOrigin origin, CancellationToken cancellationToken)
    {
        origin.Checkpoint(directory);
        AppliedState applied = TableStore.ReadFlushed(directory);
        SnapshotFile[] files = [.. Directory.EnumerateFiles(directory).Order(StringComparer.Ordinal).Select(path => SnapshotFile.Of(path, cancellationToken))];
        return new SnapshotManifest(id, applied, origin.Term(), files);
    }

    /// <summary>The reply to a request that <see cref="Check"/> let pass. Null if the snapshot was removed meanwhile.</summary>
    public async Task<byte[]?> ReadAsync(SnapshotReadRequest request, CancellationToken cancellationToken)
    {
        try
        {
            string path = Path.Combine(directory, Manifest!.Files[request.File].Name);
            using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.Asynchronous);
            byte[] reply = SnapshotReadReply.New(request.Count);
            Memory<byte> rest = SnapshotReadReply.Bytes(reply);
            for (long at = request.Offset; rest.Length > 0;)
            {
                int read = await RandomAccess.ReadAsync(file, rest, at, cancellationToken).ConfigureAwait(false);
                if (read == 0)
                    throw new StorageCorruptionException($"The file '{path}' ends at {at}, and was longer when the snapshot was made.");
                at += read;
                rest = rest[read..];
            }

            SnapshotReadReply.Seal(reply);
            return reply;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <exception cref="InvalidDataException">The request is for something that the snapshot does not have.</exception>
    public void Check(SnapshotReadRequest request)
    {
        IReadOnlyList<SnapshotFile> files = Manifest!.Files;
        if (request.File >= files.Count)
            throw new InvalidDataException($"Snapshot {id} has {files.Count} files; number {request.File} was asked for.");
        SnapshotFile file = files[request.File];
        if (request.Offset > file.Bytes - request.Count)
            throw new InvalidDataException(
                $"File {file.Name} of snapshot {id} has {file.Bytes} bytes; {request.Count} from {request.Offset} on were asked for.");
    }

    /// <summary>
    /// Also what a checkpoint that failed has left under names of its own: its links hold disk. Not synced: what a crash leaves is removed at the next
    /// start, with the whole scratch directory.
    /// </summary>
    public void Delete()
    {
        foreach (string path in Directory.EnumerateDirectories(Path.GetDirectoryName(directory)!, Path.GetFileName(directory) + "*"))
            Directory.Delete(path, recursive: true);
    }
}
