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

    private void Leave(long node, ServedSnapshot snapshot, List<ServedSnapshot> unused)
    {
        if (!snapshot.Users.Remove(node) || snapshot.Users.Count > 0 || snapshot.Manifest is null)
            return;
        _open.Remove(snapshot.Id);
        unused.Add(snapshot);
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
