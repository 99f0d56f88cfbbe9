using System.Collections.Immutable;
using System.Globalization;

namespace Regatta.Storage;

/// <summary>
/// A node's data directory, locked while this object lives.
/// <code>
/// node.json         identity and standing
/// lock              one process per directory
/// log/              RaftLogStore
/// tables/GROUP/     TableStore
/// snapshots/GROUP/  a table's state on its way from another node
/// generations/GROUP/NAME/     a whole state that may take the place of the table's
/// generations/GROUP/current   names the one that has: then it is the TableStore
/// aside/GROUP/      log and state of a group that the catalogue did not know
/// scratch/          emptied at every start
/// </code>
/// Opening it completes what a crash left half done (drops, creations that never got whole).
/// </summary>
public sealed class NodeDirectory : IDisposable
{
    private readonly DirectoryLock _lock;
    private NodeIdentity _identity;

    private NodeDirectory(string path, NodeIdentity identity, bool isNew, DirectoryLock @lock)
    {
        Root = path;
        _identity = identity;
        IsNew = isNew;
        _lock = @lock;
    }

    /// <summary>Full path of the directory.</summary>
    public string Root { get; }

    /// <summary>As stored; changed by <see cref="Found"/>, <see cref="Join"/> and <see cref="Admit"/> alone.</summary>
    public NodeIdentity Identity => Volatile.Read(ref _identity);

    /// <summary>This start made the directory: nothing was ever stored in it.</summary>
    public bool IsNew { get; }

    public string LogPath => Path.Combine(Root, "log");

    public string TablesPath => Path.Combine(Root, "tables");

    /// <summary>Empty at every start; nothing in it may be relied on after that.</summary>
    public string ScratchPath => Path.Combine(Root, "scratch");

    /// <summary>Where the state of a table is: under <see cref="TablesPath"/>, or a generation that took its place.</summary>
    /// <exception cref="StorageCorruptionException">The name of the present generation is damaged.</exception>
    public string TablePath(long groupId) => Generations(groupId).Current ?? Path.Combine(TablesPath, groupId.ToString(CultureInfo.InvariantCulture));

    /// <summary>The states that may take the place of a table's.</summary>
    public TableGenerations Generations(long groupId) => new(
        Path.Combine(GenerationsPath, groupId.ToString(CultureInfo.InvariantCulture)), Path.Combine(TablesPath, groupId.ToString(CultureInfo.InvariantCulture)));

    /// <summary>Holds a directory for each group that has <see cref="Generations"/>; need not exist.</summary>
    public string GenerationsPath => Path.Combine(Root, "generations");

    /// <summary>Holds a directory for each group for which a state was or is fetched; need not exist.</summary>
    public string SnapshotsPath => Path.Combine(Root, "snapshots");

    /// <summary>Where a group's state is put together when it comes from another node; what goes with it has this name and a suffix.</summary>
    public string SnapshotPath(long groupId) => Path.Combine(SnapshotsPath, groupId.ToString(CultureInfo.InvariantCulture));

    /// <summary>Where a group goes that is on the disk and that the catalogue does not know.</summary>
    public string AsidePath(long groupId) => Path.Combine(Root, "aside", groupId.ToString(CultureInfo.InvariantCulture));

    /// <summary>Opens the directory of a node, or makes it if it does not exist or is empty.</summary>
    /// <param name="history">The leader site's history id where it is known; null: take the stored one, or make one at the first start.</param>
    /// <exception cref="StorageRefusedException">In use, or of another node, role or history.</exception>
    /// <exception cref="StorageCorruptionException"><c>node.json</c> is damaged, or missing beside stored data.</exception>
    public static NodeDirectory Open(string path, NodeRole role, long nodeId, Guid? history) => Open(
        path,
        role,
        nodeId,
        history,
        (role, nodeId) => new NodeIdentity(role, nodeId, history ?? Guid.NewGuid(), Guid.NewGuid(), NodeStanding.Member, []));

    private static NodeDirectory Open(string path, NodeRole role, long nodeId, Guid? history, Func<NodeRole, long, NodeIdentity> first)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(nodeId, 1);
        string root = Path.GetFullPath(path);
        DurableFile.CreateDirectory(root);
        DirectoryLock held = DirectoryLock.Acquire(Path.Combine(root, "lock"));
        try
        {
            NodeIdentity? stored = ReadIdentity(root);
            NodeIdentity identity = stored ?? FirstStart(root, first(role, nodeId));
            Verify(root, identity, role, nodeId, history);
            var directory = new NodeDirectory(root, identity, stored is null, held);
            directory.Prepare();
            return directory;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Opens the directory of a node that learns from others which site it belongs to. At its first start it belongs to none: that comes with <see cref="Join"/> or
    /// <see cref="Found"/>. Its store id is
    /// written before anybody hears of it, so that a new start is still the same store.
    /// </summary>
    /// <exception cref="StorageRefusedException">In use, or of another node or role.</exception>
    /// <exception cref="StorageCorruptionException"><c>node.json</c> is damaged, or missing beside stored data.</exception>
    public static NodeDirectory OpenInSite(string path, NodeRole role, long nodeId) =>
        Open(path, role, nodeId, null, static (role, nodeId) => new NodeIdentity(role, nodeId, Guid.Empty, Guid.NewGuid(), NodeStanding.New, []));

    /// <summary>The directory is the only one of its site; durable when it returns. To be called once, by one thread, in place of <see cref="Join"/>.</summary>
    public void Found(Guid history)
    {
        ThrowUnlessNew();
        Write(Identity with { History = history, Standing = NodeStanding.Member });
    }

    /// <summary>The directory's site is known now; durable when it returns. To be called once, by one thread.</summary>
    /// <param name="founders">The stores that were there when the site was founded: if this one is not among them, it is in the place of one that was lost.</param>
    public void Join(Guid history, ImmutableArray<Guid> founders)
    {
        ThrowUnlessNew();
        Write(Identity with
        {
            History = history,
            Founders = founders,
            Standing = founders.Contains(Identity.Store) ? NodeStanding.Member : NodeStanding.Recovering,
        });
    }

    /// <summary>A recovering node has everything that its site expects of it; durable when it returns.</summary>
    public void Admit()
    {
        if (Identity.Standing == NodeStanding.Recovering)
            Write(Identity with { Standing = NodeStanding.Member });
    }

    /// <summary>Gives the lock up. Everything below must be closed before.</summary>
    public void Dispose() => _lock.Dispose();

    private void ThrowUnlessNew()
    {
        if (Identity.Standing != NodeStanding.New)
            throw new InvalidOperationException($"{Root} belongs to history {Identity.History:N} already.");
    }

    private static string IdentityPath(string root) => Path.Combine(root, "node.json");

    private static NodeIdentity? ReadIdentity(string root)
    {
        string file = IdentityPath(root);
        return File.Exists(file) ? NodeIdentityFile.Decode(file, File.ReadAllBytes(file)) : null;
    }

    private void Write(NodeIdentity identity)
    {
        DurableFile.Replace(IdentityPath(Root), NodeIdentityFile.Encode(identity));
        Volatile.Write(ref _identity, identity);
    }

    private static NodeIdentity FirstStart(string root, NodeIdentity identity)
    {
        // A crash during a first start leaves the lock and perhaps node.json.tmp.
        string? other = Directory.EnumerateFileSystemEntries(root).Select(Path.GetFileName)
            .FirstOrDefault(name => name is not ("lock" or "node.json.tmp" or "lost+found"));
        if (other is "log" or "tables")
            throw new StorageCorruptionException(
                $"{IdentityPath(root)} is missing, but {root} holds a node's data: restore node.json from a copy, or give the node an empty data directory.");
        if (other is not null)
            throw new StorageRefusedException($"{root} is no data directory and not empty (it holds {other}): choose an empty directory.");
        DurableFile.Replace(IdentityPath(root), NodeIdentityFile.Encode(identity));
        return identity;
    }

    private static void Verify(string root, NodeIdentity stored, NodeRole role, long nodeId, Guid? history)
    {
        if (stored.Role != role)
            throw new StorageRefusedException(
                $"{root} belongs to a node of a {NodeIdentityFile.RoleName(stored.Role)} site and cannot be started as {NodeIdentityFile.RoleName(role)}: " +
                "the roles keep different data. Choose another data directory.");
        if (stored.NodeId != nodeId)
            throw new StorageRefusedException(
                $"{root} belongs to node {stored.NodeId} and cannot be started as node {nodeId}: its votes and log are that node's. " +
                "Check the node id and the data directory.");
        if (history is { } wanted && wanted != stored.History)
            throw new StorageRefusedException(
                $"{root} belongs to history {stored.History:N} and cannot be started in history {wanted:N}: that is another leader site. " +
                "Choose another data directory.");
    }

    private void Prepare()
    {
        DurableFile.CreateDirectory(LogPath);
        DurableFile.CreateDirectory(TablesPath);
        if (Directory.Exists(ScratchPath)) Directory.Delete(ScratchPath, recursive: true);
        Directory.CreateDirectory(ScratchPath);
        TableDirectory.CompleteInterrupted(TablesPath);
        if (Directory.Exists(GenerationsPath)) TableDirectory.CompleteInterrupted(GenerationsPath);
    }
}
