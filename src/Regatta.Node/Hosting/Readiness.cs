using Regatta.Raft;

namespace Regatta.Node;

/// <summary>
/// Whether the node can do its work, table by table. Thread-safe; cheap enough to be asked several times a second.
/// </summary>
/// <param name="progress">Of the start.</param>
/// <param name="needsLeaderSite">What a node of a follower site needs before it has any table; null: nothing.</param>
internal sealed class Readiness(ServedTables served, StartProgress progress, Func<string?> needsLeaderSite)
{
    private const int MostNames = 10;

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
            return ["the node is starting: " + progress.WaitsFor];
        TableSnapshot tables = served.Snapshot;
        string[] disk = groups.IsDiskLow ? [DiskIsLow] : [];
        return [.. disk, .. needsLeaderSite() is { } need ? [need] : Array.Empty<string>(), .. tables.Faults.Values, .. tables.Tables.Select(Fault).OfType<string>(), .. Leaderless(tables, groups.Site)];
    }

    /// <summary>Null: no such table.</summary>
    public bool? IsReady(string table)
    {
        TableSnapshot tables = served.Snapshot;
        if (tables.Find(table) is { } found)
            return served.Closed is null && _groups is { IsDiskLow: false } && Fault(found) is null && found.Group.LeaderNodeId != 0;
        return tables.Faults.ContainsKey(table) ? false : null;
    }

    private static string? Fault(ServedTable table) => table.Group.Fault is { } fault ? $"table '{table.Name}': {fault}" : null;

    /// <summary>Nothing but an election can be the cause, or too few nodes: then they are named.</summary>
    private static IEnumerable<string> Leaderless(TableSnapshot tables, ISiteLink site)
    {
        string[] names = [.. tables.Tables.Where(table => table.Group is { Fault: null, LeaderNodeId: 0 }).Select(table => table.Name)];
        if (names.Length == 0)
            return [];
        string more = names.Length > MostNames ? $" and {names.Length - MostNames} more" : "";
        return [$"waiting for leaders of {names.Length} of {tables.Tables.Count} tables: {string.Join(", ", names.Take(MostNames))}{more}", .. site.Unreachable];
    }
}
