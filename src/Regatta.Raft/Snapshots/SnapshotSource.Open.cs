namespace Regatta.Raft;

/// <summary>Which snapshot a node gets that asks for one, and how it comes to be.</summary>
internal sealed partial class SnapshotSource
{
    private async Task<byte[]> OpenAsync(long node, long group, SnapshotOpenRequest request, CancellationToken cancellationToken)
    {
        SnapshotOrigin origin = find(group) ?? throw new InvalidOperationException($"Group {group} is not on this node.");
        if (!request.IsMetBy(origin.Applied()))
            return new SnapshotOpenReply(SnapshotOpenStatus.Behind, null).Encode();
        while (true)
        {
            ServedSnapshot? snapshot;
            bool isNew = false;
            List<ServedSnapshot> unused = [];
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
                snapshot = Shareable(group, request);
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
            if (request.IsMetBy(manifest.Applied))
                return new SnapshotOpenReply(SnapshotOpenStatus.Ready, manifest with { LeaderTerm = Math.Max(manifest.LeaderTerm, origin.Term()) }).Encode();
            if (isNew)
                throw new InvalidOperationException($"Group {group}: a checkpoint holds {manifest.Applied}, and more was applied when it was begun.");
        }
    }

    /// <summary>A snapshot that holds enough, or may when it is whole: rather a young one, and an old one only if there can be no other.</summary>
    private ServedSnapshot? Shareable(long group, SnapshotOpenRequest least)
    {
        bool isFull = _open.Count >= options.MaxOpen;
        return _open.Values.Where(snapshot => snapshot.Group == group).FirstOrDefault(snapshot =>
            snapshot.Manifest is not { } manifest
            || (least.IsMetBy(manifest.Applied) && (isFull || time.GetElapsedTime(snapshot.MadeAt) < options.ShareAge)));
    }

    private void Leave(long node, long group, ServedSnapshot? except, List<ServedSnapshot> unused)
    {
        foreach (ServedSnapshot snapshot in _open.Values.Where(open => open.Group == group && open != except).ToList())
            Leave(node, snapshot, unused);
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
}
