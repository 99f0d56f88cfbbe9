using RocksDbSharp;

namespace Regatta.Storage.Rocks;

/// <summary>
/// Which table files of a directory are damaged. Opening a database fails on a damaged file, but when the damage is in the file's properties RocksDB
/// puts it down to the MANIFEST. Its repair, made on links to the files, tells: what it cannot read it moves to <c>lost/</c>.
/// </summary>
internal static class DamagedTableFiles
{
    // Removed at the next start if a crash leaves it: the name is that of a directory that is being made.
    private const string Links = ".links.creating";

    /// <summary>Names of the files that cannot be read. Reads them all; changes nothing in <paramref name="directory"/>.</summary>
    public static string[] Find(string directory)
    {
        string links = directory + Links;
        string lost = Path.Combine(links, "lost");
        nint options = Native.Instance.rocksdb_options_create();
        try
        {
            Directory.CreateDirectory(links);
            foreach (string file in Directory.EnumerateFiles(directory, "*.sst"))
                File.CreateSymbolicLink(Path.Combine(links, Path.GetFileName(file)), file);
            Native.Instance.rocksdb_repair_db(options, links, out nint error);
            if (error != 0) RocksError.Text(error);
            return Directory.Exists(lost) ? [.. Directory.EnumerateFiles(lost, "*.sst").Select(Path.GetFileName).Order(StringComparer.Ordinal)!] : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It only serves an error message that is right without it.
            return [];
        }
        finally
        {
            Native.Instance.rocksdb_options_destroy(options);
            if (Directory.Exists(links)) Directory.Delete(links, recursive: true);
        }
    }
}
