using Microsoft.Extensions.Logging;

namespace Regatta.Raft;

/// <summary>
/// Serves the states of this node's tables to other nodes: as checkpoints in the scratch directory, which cost nothing but the disk that compaction
/// would otherwise free. Thread-safe.
/// </summary>
/// <param name="scratch">A directory that is emptied at every start; the tables' file system, so that checkpoints are hard links.</param>
/// <param name="find">The group's origin; null: it is not on this node.</param>
internal sealed partial class SnapshotSource(
    string scratch, Func<long, SnapshotOrigin?> find, SnapshotSourceOptions options, TimeProvider time, ILogger<SnapshotSource> logger) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, ServedSnapshot> _open = [];
    private readonly ByteRate _rate = new(options.BytesPerSecond, SnapshotReadRequest.MaxCount, time);
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Snapshots that are there, those being made included.</summary>
    public int Open
    {
        get
        {
            lock (_gate)
                return _open.Count;
        }
    }

    /// <summary>Answers <see cref="PeerMethod.SnapshotOpen"/>, <see cref="PeerMethod.SnapshotRead"/> and <see cref="PeerMethod.SnapshotClose"/>.</summary>
    /// <exception cref="InvalidDataException">The request is malformed, or asks for something that the snapshot does not have.</exception>
    /// <exception cref="InvalidOperationException">The group is not on this node.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> HandleAsync(
        long fromNode, long group, PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) => method switch
        {
            PeerMethod.SnapshotOpen => await OpenAsync(fromNode, group, SnapshotOpenRequest.Decode(request.Span), cancellationToken).ConfigureAwait(false),
            PeerMethod.SnapshotRead => await ReadAsync(group, SnapshotReadRequest.Decode(request.Span), cancellationToken).ConfigureAwait(false),
            PeerMethod.SnapshotClose => await CloseAsync(fromNode, group, SnapshotCloseRequest.Decode(request.Span)).ConfigureAwait(false),
            _ => throw new InvalidOperationException($"Method {method} is none of snapshots."),
        };

    /// <summary>Removes the snapshots that nobody has read for a while. To be called now and then.</summary>
    public Task SweepAsync()
    {
        List<ServedSnapshot> idle;
        lock (_gate)
        {
            idle = [.. _open.Values.Where(snapshot =>
                snapshot.Manifest is not null && snapshot.Reading == 0 && time.GetElapsedTime(snapshot.UsedAt) >= options.IdleTimeout)];
            foreach (ServedSnapshot snapshot in idle)
                _open.Remove(snapshot.Id);
        }

        return RemoveAsync(idle);
    }

    /// <summary>Waits for checkpoints under way, and removes all snapshots.</summary>
    public async ValueTask DisposeAsync()
    {
        List<ServedSnapshot> all;
        lock (_gate)
        {
            _stopping.Cancel();
            all = [.. _open.Values];
            _open.Clear();
        }

        await Task.WhenAll(all.Select(Task (snapshot) => snapshot.Making)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await RemoveAsync(all).ConfigureAwait(false);
    }

    private async Task<byte[]> OpenAsync(long node, long group, SnapshotOpenRequest request, CancellationToken cancellationToken)
    {
        SnapshotOrigin origin = find(group) ?? throw new InvalidOperationException($"Group {group} is not on this node.");
        if (origin.AppliedIndex() < request.LeastIndex)
            return new SnapshotOpenReply(SnapshotOpenStatus.Behind, null).Encode();
        while (true)
        {
            ServedSnapshot? snapshot;
            bool isNew = false;
            List<ServedSnapshot> unused = [];
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
                snapshot = Shareable(group, request.LeastIndex);
                // What the node had of this group before it will not read again.
                Leave(node, group, snapshot, unused);
                if (snapshot is null && _open.Count < options.MaxOpen)
                {
                    snapshot = Begin(group, origin);
                    isNew = true;
                }

                if (snapshot is not null)
                {
                    snapshot.Users.Add(node);
                    snapshot.UsedAt = time.GetTimestamp();
                }
            }

            await RemoveAsync(unused).ConfigureAwait(false);
            if (snapshot is null)
                return new SnapshotOpenReply(SnapshotOpenStatus.Busy, null).Encode();
            // Who gives up waiting finds it ready when he asks again.
            SnapshotManifest manifest = await snapshot.Making.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (manifest.Applied.Index >= request.LeastIndex)
                return new SnapshotOpenReply(SnapshotOpenStatus.Ready, manifest with { LeaderTerm = Math.Max(manifest.LeaderTerm, origin.Term()) }).Encode();
            if (isNew)
                throw new InvalidOperationException($"Group {group}: a checkpoint holds {manifest.Applied.Index}, and more was applied when it was begun.");
        }
    }

    private async Task<byte[]> ReadAsync(long group, SnapshotReadRequest request, CancellationToken cancellationToken)
    {
        ServedSnapshot? snapshot;
        lock (_gate)
        {
            if (!_open.TryGetValue(request.Id, out snapshot) || snapshot.Group != group || snapshot.Manifest is null)
                return SnapshotReadReply.Gone;
            snapshot.Check(request);
            snapshot.Reading++;
        }

        try
        {
            await _rate.TakeAsync(request.Count, cancellationToken).ConfigureAwait(false);
            return await snapshot.ReadAsync(request, cancellationToken).ConfigureAwait(false) ?? SnapshotReadReply.Gone;
        }
        finally
        {
            lock (_gate)
            {
                snapshot.Reading--;
                snapshot.UsedAt = time.GetTimestamp();
            }
        }
    }

    private async Task<byte[]> CloseAsync(long node, long group, SnapshotCloseRequest request)
    {
        List<ServedSnapshot> unused = [];
        lock (_gate)
        {
            if (_open.TryGetValue(request.Id, out ServedSnapshot? snapshot) && snapshot.Group == group)
                Leave(node, snapshot, unused);
        }

        await RemoveAsync(unused).ConfigureAwait(false);
        return SnapshotCloseRequest.Reply;
    }

    /// <summary>A snapshot that holds enough, or may when it is whole: rather a young one, and an old one only if there can be no other.</summary>
    private ServedSnapshot? Shareable(long group, long leastIndex)
    {
        bool isFull = _open.Count >= options.MaxOpen;
        return _open.Values.Where(snapshot => snapshot.Group == group).FirstOrDefault(snapshot =>
            snapshot.Manifest is not { } manifest
            || (manifest.Applied.Index >= leastIndex && (isFull || time.GetElapsedTime(snapshot.MadeAt) < options.ShareAge)));
    }

    private void Leave(long node, long group, ServedSnapshot? except, List<ServedSnapshot> unused)
    {
        foreach (ServedSnapshot snapshot in _open.Values.Where(open => open.Group == group && open != except).ToList())
            Leave(node, snapshot, unused);
    }

    private void Leave(long node, ServedSnapshot snapshot, List<ServedSnapshot> unused)
    {
        if (!snapshot.Users.Remove(node) || snapshot.Users.Count > 0 || snapshot.Manifest is null)
            return;
        _open.Remove(snapshot.Id);
        unused.Add(snapshot);
    }

    private ServedSnapshot Begin(long group, SnapshotOrigin origin)
    {
        Guid id = Guid.NewGuid();
        ServedSnapshot snapshot = new(id, group, Path.Combine(scratch, $"snapshot-{id:N}"));
        _open.Add(id, snapshot);
        CancellationToken stop = _stopping.Token;
        snapshot.Making = Task.Run(() => Make(snapshot, origin, stop), CancellationToken.None);
        return snapshot;
    }

    private SnapshotManifest Make(ServedSnapshot snapshot, SnapshotOrigin origin, CancellationToken stop)
    {
        try
        {
            SnapshotManifest manifest = snapshot.Make(origin, stop);
            lock (_gate)
            {
                snapshot.Manifest = manifest;
                snapshot.MadeAt = snapshot.UsedAt = time.GetTimestamp();
            }

            LogMade(snapshot.Group, manifest.Id, manifest.Applied.Index, manifest.Files.Count, manifest.Bytes);
            return manifest;
        }
        catch
        {
            lock (_gate)
                _open.Remove(snapshot.Id);
            Delete(snapshot);
            throw;
        }
    }

    /// <summary>Off the caller's thread: to unlink the last link of a large file takes time.</summary>
    private Task RemoveAsync(List<ServedSnapshot> snapshots) => snapshots.Count == 0 ? Task.CompletedTask : Task.Run(() => snapshots.ForEach(Delete));

    private void Delete(ServedSnapshot snapshot)
    {
        try
        {
            snapshot.Delete();
            LogRemoved(snapshot.Group, snapshot.Id);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNotRemoved(snapshot.Group, snapshot.Id, e);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Group {Group}: snapshot {Snapshot} at index {Index} is open: {Files} files, {Bytes} bytes")]
    private partial void LogMade(long group, Guid snapshot, long index, int files, long bytes);

    [LoggerMessage(Level = LogLevel.Information, Message = "Group {Group}: snapshot {Snapshot} is removed")]
    private partial void LogRemoved(long group, Guid snapshot);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Group {Group}: snapshot {Snapshot} cannot be removed; it holds disk until the next start")]
    private partial void LogNotRemoved(long group, Guid snapshot, Exception cause);
}
