using Regatta.Raft;

namespace Regatta.Node;

/// <summary>
/// Whether the node can do its work, table by table. Thread-safe; cheap enough to be asked several times a second.
/// </summary>
internal sealed class Readiness(ServedTables served)
{
    private const string DiskIsLow = "free disk space is below disk.low-water-bytes: writes are refused until there is room";

    private volatile IGroupHost? _groups;

    /// <summary>All tables that the catalogue knows have been opened, or reported as faults.</summary>
    public void MarkStarted(IGroupHost groups) => _groups = groups;

    /// <summary>Nothing is served any more, for good.</summary>
    public bool IsStopping => served.Closed is not null;

    /// <summary>What keeps the node from accepting writes to every table; empty if nothing does.</summary>
    public IReadOnlyList<string> Reasons()
    {
        if (served.Closed is { } closed)
            return [closed.Sentence];
        if (_groups is not { } groups)
            return ["the node is starting"];
        TableSnapshot tables = served.Snapshot;
        string[] disk = groups.IsDiskLow ? [DiskIsLow] : [];
        return [.. disk, .. tables.Faults.Values, .. tables.Tables.Select(Problem).OfType<string>()];
    }

    /// <summary>Null: no such table.</summary>
    public bool? IsReady(string table)
    {
        TableSnapshot tables = served.Snapshot;
        if (tables.Find(table) is { } found)
            return served.Closed is null && _groups is { IsDiskLow: false } && Problem(found) is null;
        return tables.Faults.ContainsKey(table) ? false : null;
    }

    private static string? Problem(ServedTable table) =>
        table.Group.Fault is { } fault ? $"table '{table.Name}': {fault}"
        : table.Group.LeaderNodeId == 0 ? $"table '{table.Name}' has no leader"
        : null;
}
