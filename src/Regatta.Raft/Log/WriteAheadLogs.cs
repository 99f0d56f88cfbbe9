namespace Regatta.Raft;

/// <summary>
/// Which of RocksDB's write-ahead logs is the damaged one. Its errors name the file of a damaged table, but of a damaged write-ahead log they
/// only say that a checksum does not match.
/// </summary>
internal static class WriteAheadLogs
{
    private const string Dropping = ": dropping ";

    /// <summary>The newest one that holds anything; null if none does. To be asked before the database is opened: opening replaces it.</summary>
    public static string? Newest(string directory) => new DirectoryInfo(directory)
        .EnumerateFiles("*.log")
        .Where(file => file.Length > 0)
        .MaxBy(file => file.Name, StringComparer.Ordinal)?
        .FullName;

    /// <summary>The one that the last attempt to open the database gave up on, from RocksDB's own journal; null if it did not get that far.</summary>
    public static string? GivenUp(string directory)
    {
        string journal = Path.Combine(directory, "LOG");
        // Begun anew by each attempt, so it is short.
        string? line = File.Exists(journal) ? File.ReadLines(journal).LastOrDefault(line => line.Contains(Dropping, StringComparison.Ordinal)) : null;
        if (line is null)
            return null;
        int end = line.IndexOf(Dropping, StringComparison.Ordinal);
        int start = line.LastIndexOf("] ", end, StringComparison.Ordinal);
        return start < 0 ? null : line[(start + 2)..end];
    }
}
