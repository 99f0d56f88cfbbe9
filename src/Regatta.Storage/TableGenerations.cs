using System.Text;

namespace Regatta.Storage;

/// <summary>
/// States of one table beside the one that it has: each whole, synced, under a name of its own, and one of them perhaps the table's. Which one is said by a file
/// that is replaced atomically, so a crash leaves one or the other. What is deleted loses its name first: a name is that of a whole state or of none.
/// </summary>
/// <remarks>Members that change something are not to run at the same time, except <see cref="Add"/> beside the others. All else from any thread.</remarks>
/// <param name="root"><c>generations/GROUP</c>; need not exist.</param>
/// <param name="first">The table's directory while no generation has taken its place.</param>
public sealed class TableGenerations(string root, string first)
{
    private const string CurrentName = "current";

    /// <summary>The directory of the generation that is the table's, which is not looked for; null: none is.</summary>
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

    /// <summary>Whether a generation is here, and stays here whatever happens: it may be promised to others.</summary>
    public bool Holds(string name)
    {
        if (!Directory.Exists(PathOf(name))) return false;
        // Whoever adds it just now has given it its name, and perhaps not synced that yet.
        DurableFile.SyncDirectory(root);
        return true;
    }

    /// <summary>
    /// Takes a directory that holds a whole state, synced, under a name; durable when it returns. Equal states have equal names: one of that name stays, unless it is damaged; it may be promised, or being opened, already.
    /// </summary>
    public void Add(string name, string directory)
    {
        DurableFile.CreateDirectory(root);
        if (Holds(name))
        {
            if (RevisionOf(PathOf(name)) is not null) return;
            TableDirectory.Drop(PathOf(name));
        }

        DurableFile.MoveDirectory(directory, PathOf(name));
    }

    /// <summary>From now on the generation is the table's; durable when it returns.</summary>
    public void MakeCurrent(string name) => DurableFile.Replace(Path.Combine(root, CurrentName), Encoding.UTF8.GetBytes(name + "\n"));

    /// <summary>To be called before the table is opened: a table whose files are gone is not a new one.</summary>
    /// <exception cref="StorageCorruptionException">The generation that is the table's is not there.</exception>
    public void ThrowIfCurrentIsGone()
    {
        if (Current is { } current && !Directory.Exists(current))
            throw new StorageCorruptionException(
                $"{current} is gone, and {Path.Combine(root, CurrentName)} says that it holds the table. Put it back, or give the node an empty data directory if others hold its tables.");
    }

    /// <summary>Deletes what the table has no use for any more: its former states, and states that are no newer than it, or damaged. None of them may be open.</summary>
    /// <param name="revision">The table's.</param>
    public void Sweep(long revision)
    {
        if (!Directory.Exists(root)) return;
        TableDirectory.CompleteInterrupted(root);
        string? current = Current;
        if (current is not null) TableDirectory.Drop(first);
        // A damaged one nobody can install: whoever is asked to gets another one.
        foreach (string path in All.Where(path => path != current && (RevisionOf(path) ?? 0) <= revision))
            TableDirectory.Drop(path);
    }

    /// <summary>Puts the table's state into its first directory, and deletes the others: from there it can be moved anywhere. A crash in between leaves it to be done again.</summary>
    public void FoldBack()
    {
        if (Current is { } current && Directory.Exists(current))
        {
            TableDirectory.Drop(first);
            DurableFile.MoveDirectory(current, first);
        }

        TableDirectory.Drop(root);
    }

    /// <summary>Deletes all of them, the table's state included; no error if there are none. A crash in between leaves it to be done again.</summary>
    public void Drop()
    {
        TableDirectory.Drop(first);
        TableDirectory.Drop(root);
    }

    private static bool IsName(string name) => name.Length > 0 && name.All(char.IsAsciiLetterOrDigit);

    /// <summary>Null: it is damaged.</summary>
    private static long? RevisionOf(string path)
    {
        try
        {
            return FlushedFile.Read(path).Revision;
        }
        catch (StorageCorruptionException)
        {
            return null;
        }
    }
}
