using System.Buffers.Binary;
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// How states get onto the disks of a site that are to take the place of tables': from another site to one node, from that to a majority, and only then the installation may be
/// proposed. What a node has said to hold it keeps until its table has come as far.
/// </summary>
public sealed partial class GroupHost
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<long, Task> _staging = new();

    public async Task<InstallCommand> StageAsync(long groupId, FarCall far, CancellationToken cancellationToken)
    {
        GroupSlot slot = SlotOf(groupId);
        CancellationToken dropped = slot.Dropped.Token;
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, dropped);
        try
        {
            InstallCommand install = await StageHereAsync(slot, far, ending.Token).ConfigureAwait(false);
            await SpreadAsync(slot, install, ending.Token).ConfigureAwait(false);
            return install;
        }
        catch (OperationCanceledException) when (dropped.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw Gone(groupId);
        }
        catch (SyncFailedException e)
        {
            StopIfUnsynced(e);
            throw;
        }
    }

    public async ValueTask<ReadOnlyMemory<byte>> ServeFilesAsync(Guid asker, long groupId, byte call, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        PeerMethod method = (PeerMethod)call;
        if (method is not (PeerMethod.SnapshotOpen or PeerMethod.SnapshotRead or PeerMethod.SnapshotClose))
            throw new InvalidDataException($"Call {call} is none for files.");
        _ = SlotOf(groupId);
        // Nodes of this site have positive numbers.
        long node = BitConverter.ToInt64(asker.ToByteArray()) | long.MinValue;
        return await _source.HandleAsync(node, groupId, method, request, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Another node has a state that this one is to have, too.</summary>
    /// <returns>It is here.</returns>
    bool ISiteGroups.Stage(long fromNode, long groupId, UInt128 files)
    {
        if (!_slots.TryGetValue(groupId, out GroupSlot? slot) || slot.Group is null || _setting.Members.Peer(fromNode) is not { } peer)
            return false;
        if (Holds(groupId, files))
            return true;
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_stopping.IsCancellationRequested && _staging.TryAdd(groupId, done.Task))
            _ = StageFromAsync(slot, peer, files, done);
        return false;
    }

    private async Task<InstallCommand> StageHereAsync(GroupSlot slot, FarCall far, CancellationToken cancellationToken)
    {
        await slot.Staging.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return Staged(slot) ?? await FetchStateAsync(slot, new FarPeer(far), Try, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            slot.Staging.Release();
        }
    }

    private async Task StageFromAsync(GroupSlot slot, IPeer peer, UInt128 files, TaskCompletionSource done)
    {
        long groupId = slot.Spec!.GroupId;
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token, slot.Dropped.Token);
        try
        {
            await slot.Staging.WaitAsync(ending.Token).ConfigureAwait(false);
            try
            {
                // It may have come by itself meanwhile.
                if (!Holds(groupId, files))
                    await FetchStateAsync(slot, peer, static _ => { }, ending.Token).ConfigureAwait(false);
                slot.Group?.Current.Resume();
            }
            finally
            {
                slot.Staging.Release();
            }
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The host is closing, or the table is deleted.
        }
        catch (Exception e)
        {
            // The other node asks again, and what was fetched is kept.
            StopIfUnsynced(e);
            LogNotStaged(e, groupId, peer.NodeId);
        }
        finally
        {
            _staging.TryRemove(groupId, out _);
            done.SetResult();
        }
    }

    /// <summary>The group is dropped: ends what is being fetched for it, then does something that a fetch must not run beside.</summary>
    private static async Task EndStagingAsync(GroupSlot slot, Action behind)
    {
        await slot.Dropped.CancelAsync().ConfigureAwait(false);
        await slot.Staging.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        await slot.Fetching.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            await Task.Run(behind, CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            slot.Fetching.Release();
            slot.Staging.Release();
        }
    }

    /// <param name="check">Of the state that has come; refuses it by an exception.</param>
    private async Task<InstallCommand> FetchStateAsync(GroupSlot slot, IPeer peer, Action<FetchedSnapshot> check, CancellationToken cancellationToken)
    {
        GroupSpec spec = slot.Spec!;
        await _fetches.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // Beside what the group itself may be fetching from its leader.
            SnapshotPaths paths = new(_directory, -spec.GroupId);
            SnapshotFetch fetch = new(
                _directory, -spec.GroupId, spec.Incarnation, new SnapshotFetchOptions(), _setting.Time, _setting.Loggers.CreateLogger<SnapshotFetch>());
            // One that the table has passed, or that is the table's already, because others share it for a while, is not asked for.
            SnapshotOpenRequest newer = new(LeastIndex: 0, LeastRevision: (slot.State?.Store.Revision ?? 0) + 1);
            FetchedSnapshot fetched = await fetch.RunAsync(peer, newer, cancellationToken).ConfigureAwait(false);
            try
            {
                // It may have come as far meanwhile.
                if (slot.State is { } state && fetched.Applied.Revision <= state.Store.Revision)
                    throw new SnapshotUnavailableException(
                        SnapshotRefusal.Behind, $"The state that was offered is at revision {fetched.Applied.Revision}, and the table is at {state.Store.Revision}.");
                await Task.Run(() => check(fetched), cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SnapshotUnavailableException or InvalidDataException)
            {
                // Or else it would be found whole, and be refused again.
                paths.RemoveDirectories();
                throw;
            }

            string name = StagedState.NameOf(fetched.Files);
            _directory.Generations(spec.GroupId).Add(name, fetched.Directory);
            paths.RemoveDirectories();
            InstallCommand install = new(fetched.Applied.Incarnation, fetched.Applied.Revision, fetched.Applied.Chain, fetched.Files);
            LogStaged(spec.Name, spec.GroupId, install.Revision);
            return install;
        }
        finally
        {
            _fetches.Release();
        }
    }

    /// <summary>
    /// Opens a copy of a state of another site, which shares its files. An entry that no node can carry out would stop them all, again and again: so nobody
    /// promises to have a state that cannot be opened, or is not what was said of it.
    /// </summary>
    private void Try(FetchedSnapshot fetched)
    {
        string copy = Path.Combine(_directory.ScratchPath, $"try{fetched.Group}");
        try
        {
            DurableFile.LinkFiles(fetched.Directory, copy);
            using TableStore store = TableStore.Open(copy, fetched.Applied.Incarnation, _environment);
            if (store.Applied != fetched.Applied)
                throw new InvalidDataException($"The state that was offered as {fetched.Applied} holds {store.Applied}.");
        }
        catch (StorageException e)
        {
            throw new InvalidDataException($"The state that was offered as {fetched.Applied} cannot be opened: {e.Message}", e);
        }
        finally
        {
            if (Directory.Exists(copy))
                Directory.Delete(copy, recursive: true);
        }
    }

    /// <summary>Completes when a majority of the site holds the state, this node included, or when the table has come as far: then a node need not hold it any more.</summary>
    private async Task SpreadAsync(GroupSlot slot, InstallCommand install, CancellationToken cancellationToken)
    {
        long groupId = slot.Spec!.GroupId;
        SiteMembers members = _setting.Members;
        IPeer[] others = [.. members.Ids.Select(members.Peer).OfType<IPeer>()];
        int needed = members.Ids.Length / 2;
        byte[] request = new byte[16];
        BinaryPrimitives.WriteUInt128LittleEndian(request, install.Files);
        while (slot.State!.Store.Revision < install.Revision)
        {
            bool[] have = await Task.WhenAll(others.Where(static peer => peer.IsConnected).Select(peer => HasAsync(peer, groupId, request, cancellationToken))).ConfigureAwait(false);
            if (have.Count(static one => one) >= needed)
                return;
            await Task.Delay(AskAgain, _setting.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<bool> HasAsync(IPeer peer, long groupId, ReadOnlyMemory<byte> files, CancellationToken cancellationToken)
    {
        using TimeLimit limit = new(_setting.Options.AppendTimeout, _setting.Time, cancellationToken);
        try
        {
            ReadOnlyMemory<byte> reply = await peer.CallAsync(groupId, PeerMethod.Stage, files, limit.Token).ConfigureAwait(false);
            return reply.Span is [1];
        }
        catch (Exception e) when (e is IOException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private InstallCommand? Staged(GroupSlot slot) => slot.State is { } state
        ? StagedState.Newest(_directory.Generations(slot.Spec!.GroupId), slot.Spec.Incarnation, state.Store.Revision)
        : null;

    /// <summary>Staged states are served to the other nodes of the site under the group's number, negative.</summary>
    private SnapshotOrigin? StagedOrigin(long groupId)
    {
        if (!_slots.TryGetValue(groupId, out GroupSlot? slot) || slot.Spec is null || Staged(slot) is not { } install)
            return null;
        string directory = _directory.Generations(groupId).PathOf(StagedState.NameOf(install.Files));
        AppliedState state = TableStore.ReadFlushed(directory);
        return new SnapshotOrigin(target => DurableFile.LinkFiles(directory, target), () => state, () => state.Term);
    }

    private bool Holds(long groupId, UInt128 files) => _directory.Generations(groupId).Holds(StagedState.NameOf(files));

    private GroupSlot SlotOf(long groupId) => _slots.TryGetValue(groupId, out GroupSlot? slot) && slot.Group is not null ? slot : throw Gone(groupId);

    private static ObjectDisposedException Gone(long groupId) => new($"group {groupId}", "The table's group does not run on this node.");

    [LoggerMessage(Level = LogLevel.Information, Message = "A state of table {Table} (group {Group}) at revision {Revision} is here and can take the place of the table's")]
    private partial void LogStaged(string table, long group, long revision);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Group {Group} could not get the state that node {Node} has for it; it is tried again")]
    private partial void LogNotStaged(Exception cause, long group, long node);
}
