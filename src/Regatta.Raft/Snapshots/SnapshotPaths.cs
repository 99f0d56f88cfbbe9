using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// Where a group's snapshot is on the node that fetches and installs it.
/// <code>
/// snapshots/GROUP/manifest     what is being fetched
/// snapshots/GROUP/parts/NAME   a file that is not complete
/// snapshots/GROUP/state/NAME   a file that is complete, checked and synced
/// snapshots/GROUP.installed    InstallMarker: the state is whole and becomes the table's
/// snapshots/GROUP.replaced/    the table's former state, while that happens
/// </code>
/// </summary>
internal sealed class SnapshotPaths(NodeDirectory directory, long group)
{
    public string Root { get; } = directory.SnapshotPath(group);

    public string Manifest => Path.Combine(Root, "manifest");

    public string Parts => Path.Combine(Root, "parts");

    public string State => Path.Combine(Root, "state");

    public string Marker => Root + ".installed";

    public string Replaced => Root + ".replaced";

    public string Table { get; } = directory.TablePath(group);

    /// <summary>Not synced: what a crash leaves of them is of no use and in nobody's way.</summary>
    public void RemoveDirectories()
    {
        foreach (string path in new[] { Replaced, Root }.Where(Directory.Exists))
            Directory.Delete(path, recursive: true);
    }
}
