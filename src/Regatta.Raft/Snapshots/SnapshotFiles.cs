using System.Buffers.Binary;
using System.IO.Hashing;
using Microsoft.Win32.SafeHandles;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// A snapshot on the disk of the node that fetches it. A file under <c>state/</c> is complete, checked and synced as the manifest on disk describes
/// it; what is under <c>parts/</c> is believed nothing but its length, and checked when it is complete. Not thread-safe.
/// </summary>
/// <remarks>
/// The manifest is stored as <c>[XXH3 over the rest u64][reply to the request for the snapshot]</c>. If it is damaged or of another version the
/// fetch begins anew: it only spares traffic.
/// </remarks>
internal sealed class SnapshotFiles(SnapshotPaths paths)
{
    public string StateDirectory => paths.State;

    /// <summary>The state is on its way into the table's place: nothing may be fetched until it is there.</summary>
    public bool IsBeingInstalled => File.Exists(paths.Marker);

    /// <summary>What is being fetched; null: nothing.</summary>
    public SnapshotManifest? ReadManifest()
    {
        if (!File.Exists(paths.Manifest) || !Directory.Exists(paths.Parts) || !Directory.Exists(paths.State))
            return null;
        ReadOnlySpan<byte> record = File.ReadAllBytes(paths.Manifest);
        if (record.Length < sizeof(ulong) || BinaryPrimitives.ReadUInt64LittleEndian(record) != XxHash3.HashToUInt64(record[sizeof(ulong)..]))
            return null;
        try
        {
            return SnapshotOpenReply.Decode(record[sizeof(ulong)..]).Manifest;
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }

    /// <summary>
    /// From now on this snapshot is fetched. What is here of another one and has the same name, length and hash stays: RocksDB never changes a
    /// table file, so two snapshots of one table share most of theirs.
    /// </summary>
    public void Begin(SnapshotManifest manifest)
    {
        HashSet<SnapshotFile> former = [.. ReadManifest()?.Files ?? []];
        HashSet<string> kept = [.. manifest.Files.Where(former.Contains).Select(file => file.Name)];
        foreach (string directory in new[] { paths.Parts, paths.State })
        {
            DurableFile.CreateDirectory(directory);
            foreach (string path in Directory.EnumerateFiles(directory).Where(path => !kept.Contains(Path.GetFileName(path))))
                File.Delete(path);
            // Or else a power loss could bring a file of the former snapshot back under the manifest of this one.
            DurableFile.SyncDirectory(directory);
        }

        byte[] reply = new SnapshotOpenReply(SnapshotOpenStatus.Ready, manifest).Encode();
        byte[] record = new byte[sizeof(ulong) + reply.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(record, XxHash3.HashToUInt64(reply));
        reply.CopyTo(record, sizeof(ulong));
        DurableFile.Replace(paths.Manifest, record);
    }

    public bool IsComplete(SnapshotFile file)
    {
        FileInfo found = new(Path.Combine(paths.State, file.Name));
        return found.Exists && found.Length == file.Bytes;
    }

    /// <summary>Bytes of a file that is not complete that are here.</summary>
    public long PartBytes(SnapshotFile file)
    {
        FileInfo found = new(PartPath(file));
        return found.Exists ? found.Length : 0;
    }

    /// <summary>Opens an incomplete file to go on with it at <paramref name="offset"/>; what is behind that goes.</summary>
    public SafeFileHandle OpenPart(SnapshotFile file, long offset)
    {
        SafeFileHandle handle = File.OpenHandle(PartPath(file), FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, FileOptions.Asynchronous);
        if (RandomAccess.GetLength(handle) != offset)
            RandomAccess.SetLength(handle, offset);
        return handle;
    }

    /// <summary>All bytes of the file are here: checks and syncs it. What does not match is deleted.</summary>
    /// <returns>It matches, and is complete.</returns>
    public bool Complete(SnapshotFile file, CancellationToken cancellationToken)
    {
        string part = PartPath(file);
        if (SnapshotFile.Of(part, cancellationToken) != file)
        {
            File.Delete(part);
            return false;
        }

        using (SafeFileHandle handle = File.OpenHandle(part, FileMode.Open, FileAccess.Write))
            DurableFile.Sync(handle, part);
        File.Move(part, Path.Combine(paths.State, file.Name), overwrite: true);
        return true;
    }

    /// <summary>All files are complete: they stay so.</summary>
    public void Finish()
    {
        DurableFile.SyncDirectory(paths.State);
        DurableFile.SyncDirectory(paths.Parts);
    }

    private string PartPath(SnapshotFile file) => Path.Combine(paths.Parts, file.Name);
}
