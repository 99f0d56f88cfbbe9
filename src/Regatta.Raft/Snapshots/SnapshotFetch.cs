using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// Pulls a group's state from another node into this one's <c>snapshots/GROUP/</c>. Whatever ends a run - an error, a cut, the process - the next
/// one goes on behind the last chunk that was written, also from another node, as far as that has the same files. One run at a time, as a task of its own: it waits for the disk now and then.
/// </summary>
/// <param name="incarnation">The table's; the state of another one is refused before it is fetched.</param>
internal sealed partial class SnapshotFetch(
    NodeDirectory directory, long group, Incarnation incarnation, SnapshotFetchOptions options, TimeProvider time, ILogger<SnapshotFetch> logger)
{
    private readonly SnapshotFiles _files = new(new SnapshotPaths(directory, group));

    /// <param name="least">What a state must hold to be of use: up to where the leader's log begins, or a barrier's index, or more than the table has.</param>
    /// <exception cref="PeerUnavailableException">As the peer said; call again.</exception>
    /// <exception cref="PeerCallException">As the peer said; call again.</exception>
    /// <exception cref="SnapshotUnavailableException">The node has no snapshot to give now; call again later.</exception>
    /// <exception cref="TimeoutException">A call was not answered in time; call again.</exception>
    /// <exception cref="InvalidDataException">What arrives is damaged or malformed, again and again, or of another incarnation.</exception>
    /// <exception cref="IOException">This node's disk cannot be written.</exception>
    public async Task<FetchedSnapshot> RunAsync(IPeer peer, SnapshotOpenRequest least, CancellationToken cancellationToken)
    {
        if (_files.IsBeingInstalled)
            throw new InvalidOperationException($"Group {group}: a snapshot is being installed; complete that first.");
        SnapshotCalls calls = new(peer, group, options, time);
        SnapshotManifest? manifest = _files.ReadManifest();
        if (manifest is not null && (!least.IsMetBy(manifest.Applied) || manifest.Applied.Incarnation != incarnation))
            manifest = null;
        for (int opens = 0; ; opens++)
        {
            manifest ??= await OpenAsync(calls, peer.NodeId, least, cancellationToken).ConfigureAwait(false);
            if (await PullAsync(calls, peer.NodeId, manifest, cancellationToken).ConfigureAwait(false))
                break;
            LogGone(group, manifest.Id, peer.NodeId);
            manifest = null;
            if (opens == options.MaxOpens)
                throw new SnapshotUnavailableException(
                    SnapshotRefusal.Gone, $"Group {group}: node {peer.NodeId} removes its snapshots before they can be read.");
        }

        _files.Finish();
        LogFetched(group, manifest.Id, manifest.Applied.Index, manifest.Bytes);
        await CloseAsync(calls, manifest.Id, cancellationToken).ConfigureAwait(false);
        return new FetchedSnapshot(group, _files.StateDirectory, manifest.Applied, manifest.LeaderTerm, StagedState.HashOf(manifest));
    }

    private async Task<SnapshotManifest> OpenAsync(SnapshotCalls calls, long node, SnapshotOpenRequest least, CancellationToken cancellationToken)
    {
        SnapshotOpenReply reply = await calls.OpenAsync(least, cancellationToken).ConfigureAwait(false);
        if (reply.Status == SnapshotOpenStatus.Busy)
            throw new SnapshotUnavailableException(SnapshotRefusal.Busy, $"Group {group}: node {node} serves as many snapshots as it may.");
        if (reply.Manifest is not { } manifest || !least.IsMetBy(manifest.Applied))
            throw new SnapshotUnavailableException(SnapshotRefusal.Behind, $"Group {group}: node {node} has no state that holds index {least.LeastIndex} and revision {least.LeastRevision} itself.");
        if (manifest.Applied.Incarnation != incarnation)
            throw new InvalidDataException(
                $"Group {group}: node {node} has the table in incarnation {manifest.Applied.Incarnation}, and it should be {incarnation}.");
        _files.Begin(manifest);
        LogBegun(group, manifest.Id, manifest.Applied.Index, node, manifest.Files.Count, manifest.Bytes);
        return manifest;
    }

    /// <returns>False: the snapshot is gone.</returns>
    private async Task<bool> PullAsync(SnapshotCalls calls, long node, SnapshotManifest manifest, CancellationToken cancellationToken)
    {
        Dictionary<string, int> damaged = [];
        while (true)
        {
            List<SnapshotChunk> missing = [];
            for (int i = 0; i < manifest.Files.Count; i++)
            {
                if (!_files.IsComplete(manifest.Files[i]))
                    AddMissing(manifest.Files[i], i, missing);
            }

            if (missing.Count == 0)
                return true;
            await foreach (string? file in WriteAsync(calls, manifest, missing, cancellationToken).ConfigureAwait(false))
            {
                if (file is null)
                    return false;
                int times = damaged[file] = damaged.GetValueOrDefault(file) + 1;
                LogDamaged(group, file, manifest.Id, node);
                if (times > options.MaxRepeats)
                    throw new InvalidDataException(
                        $"Group {group}: file {file} of the snapshot of node {node} was fetched {times} times and never had the hash that the node gave. " +
                        "Check the disks of both nodes.");
            }
        }
    }

    /// <summary>From the last whole chunk on; a file that is all there but for the check, or empty, still needs a step of its own.</summary>
    private void AddMissing(SnapshotFile file, int number, List<SnapshotChunk> missing)
    {
        long here = _files.PartBytes(file);
        long offset = here == file.Bytes ? here : here > file.Bytes ? 0 : here - (here % options.ChunkBytes);
        do
        {
            int count = (int)Math.Min(options.ChunkBytes, file.Bytes - offset);
            missing.Add(new SnapshotChunk(number, offset, count));
            offset += count;
        }
        while (offset < file.Bytes);
    }

    /// <summary>Fetches and writes the chunks, and checks each file when its last one is there.</summary>
    /// <returns>Names of files that did not match; null: the snapshot is gone.</returns>
    private async IAsyncEnumerable<string?> WriteAsync(
        SnapshotCalls calls, SnapshotManifest manifest, List<SnapshotChunk> chunks,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        IAsyncEnumerator<ReadOnlyMemory<byte>?> replies = calls.ReadAsync(manifest.Id, chunks.Where(chunk => chunk.Count > 0), cancellationToken)
            .GetAsyncEnumerator(cancellationToken);
        SafeFileHandle? part = null;
        try
        {
            foreach (SnapshotChunk chunk in chunks)
            {
                SnapshotFile file = manifest.Files[chunk.File];
                part ??= _files.OpenPart(file, chunk.Offset);
                if (chunk.Count > 0)
                {
                    await replies.MoveNextAsync().ConfigureAwait(false);
                    if (replies.Current is not { } bytes)
                    {
                        yield return null;
                        yield break;
                    }

                    await RandomAccess.WriteAsync(part, bytes, chunk.Offset, cancellationToken).ConfigureAwait(false);
                }

                if (chunk.Offset + chunk.Count < file.Bytes)
                    continue;
                part.Dispose();
                part = null;
                if (!await Task.Run(() => _files.Complete(file, cancellationToken), cancellationToken).ConfigureAwait(false))
                    yield return file.Name;
            }
        }
        finally
        {
            part?.Dispose();
            await replies.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Spares the other node the disk; it finds out by itself, too.</summary>
    private async Task CloseAsync(SnapshotCalls calls, Guid id, CancellationToken cancellationToken)
    {
        try
        {
            await calls.CloseAsync(id, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or TimeoutException or InvalidDataException)
        {
            LogNotClosed(group, id, e);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Information, Message = "Group {Group}: fetching snapshot {Snapshot} at index {Index} from node {Node}: {Files} files, {Bytes} bytes")]
    private partial void LogBegun(long group, Guid snapshot, long index, long node, int files, long bytes);

    [LoggerMessage(Level = LogLevel.Information, Message = "Group {Group}: snapshot {Snapshot} at index {Index} is here: {Bytes} bytes")]
    private partial void LogFetched(long group, Guid snapshot, long index, long bytes);

    [LoggerMessage(Level = LogLevel.Information, Message = "Group {Group}: snapshot {Snapshot} is gone from node {Node}; another one is asked for")]
    private partial void LogGone(long group, Guid snapshot, long node);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Group {Group}: file {File} of snapshot {Snapshot} from node {Node} is damaged and is fetched again")]
    private partial void LogDamaged(long group, string file, Guid snapshot, long node);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Group {Group}: snapshot {Snapshot} could not be closed; its node removes it when it is idle")]
    private partial void LogNotClosed(long group, Guid snapshot, Exception cause);
}
