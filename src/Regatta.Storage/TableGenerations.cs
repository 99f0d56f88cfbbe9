using System.Text;

namespace Regatta.Storage;

/// <summary>
/// States of one table beside the one that it has: each whole, synced, under a name of its own, and one of them perhaps the table's. Which one is said by a file
/// that is replaced atomically, so a crash leaves one or the other. Not thread-safe.
/// </summary>
/// <param name="root"><c>generations/GROUP</c>; need not exist.</param>
/// <param name="first">The table's directory while no generation has taken its place.</param>
public sealed class TableGenerations(string root, string first)
{
    private const string CurrentName = "current";

    /// <summary>The directory of the generation that is the table's; null: none is.</summary>
    /// <exception cref="StorageCorruptionException">The file that says so is damaged.</exception>
    public string? Current
    {
        get
        {
            string file = Path.Combine(root, CurrentName);
            if (!File.Exists(file)) return null;
            string name = Encoding.UTF8.GetString(File.ReadAllBytes(file)).TrimEnd('\n');
            return IsName(name)
                ? PathOf(name)
                : throw new StorageCorruptionException($"{file} is damaged: it must hold the name of a directory beside it. Restore it from a copy, or give the node an empty data directory if others hold its tables.");
        }
    }

    /// <summary>All that are there, the present one included.</summary>
    public IReadOnlyList<string> All => Directory.Exists(root) ? [.. Directory.EnumerateDirectories(root).Where(path => IsName(Path.GetFileName(path)))] : [];

    /// <summary>Where a generation is, or would be.</summary>
    /// <param name="name">Letters and digits.</param>
    public string PathOf(string name) => Path.Combine(root, name);

    /// <summary>Takes a directory that holds a whole state, synced, under a name; durable when it returns. It replaces one of that name.</summary>
    public void Add(string name, string directory)
    {
        DurableFile.CreateDirectory(root);
        string target = PathOf(name);
        if (Directory.Exists(target)) Directory.Delete(target, recursive: true);
        DurableFile.MoveDirectory(directory, target);
    }

    /// <summary>From now on the generation is the table's; durable when it returns.</summary>
    public void MakeCurrent(string name) => DurableFile.Replace(Path.Combine(root, CurrentName), Encoding.UTF8.GetBytes(name + "\n"));

    /// <summary>Deletes what the table has no use for any more: its former states, and states that are no newer than it. None of them may be open.</summary>
    /// <param name="revision">The table's.</param>
    public void Sweep(long revision)
    {
        if (Current is not { } current) return;
        if (Directory.Exists(first)) TableDirectory.Drop(first);
        foreach (string path in All.Where(path => path != current && IsNoNewer(path, revision)))
            Directory.Delete(path, recursive: true);
    }

    /// <summary>Deletes all of them; the table is gone. No error if there are none.</summary>
    public void Drop()
    {
        if (!Directory.Exists(root)) return;
        // The pointer goes last: without its directory it is found wanting, without it the directories are nobody's.
        foreach (string path in Directory.EnumerateDirectories(root))
            Directory.Delete(path, recursive: true);
        Directory.Delete(root, recursive: true);
    }

    private static bool IsName(string name) => name.Length > 0 && name.All(char.IsAsciiLetterOrDigit);

    // What cannot be read was not whole, or was being deleted.
    private static bool IsNoNewer(string path, long revision)
    {
        try
        {
            return FlushedFile.Read(path).Revision <= revision;
        }
        catch (StorageCorruptionException)
        {
            return true;
        }
    }
}
