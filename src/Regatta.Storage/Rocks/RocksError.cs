using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using RocksDbSharp;

namespace Regatta.Storage.Rocks;

/// <summary>RocksDB's error strings as our exceptions.</summary>
internal static class RocksError
{
    private const string Damaged =
        "The files of this table are damaged; nothing was changed. Check the disk, then restore the directory from another node or from a checkpoint.";

    /// <summary>Takes the text out of native memory.</summary>
    internal static string Text(nint error)
    {
        string text = Marshal.PtrToStringUTF8(error) ?? "unknown error";
        Native.Instance.rocksdb_free(error);
        return text;
    }

    /// <summary>An error of a database that was open.</summary>
    internal static StorageException Of(string text, string directory) =>
        IsCorruption(text) ? Corrupt(directory, text) : new StorageException($"{directory}: {text}. Check the disk and its free space, then restart the node.");

    /// <summary>
    /// An error while opening a directory that was whole when it was made: what is missing now, or names something that does not
    /// exist, is damage as well.
    /// </summary>
    internal static StorageException OfOpen(string text, string directory)
    {
        if (text.Contains("lock hold", StringComparison.OrdinalIgnoreCase) || text.Contains("While lock file", StringComparison.Ordinal))
            return new StorageRefusedException(
                $"{directory} is open already, here or in another process ({text}). Close it there (a view that is still open keeps it open).");
        bool damaged = IsCorruption(text)
            || text.Contains("No such file", StringComparison.Ordinal)
            || text.StartsWith("Invalid argument", StringComparison.Ordinal)
            || text.StartsWith("NotFound", StringComparison.Ordinal)
            || text.StartsWith("Not implemented", StringComparison.Ordinal);
        return damaged ? Corrupt(directory, text + InTableFiles(text, directory)) : Of(text, directory);
    }

    internal static StorageCorruptionException Corrupt(string directory, string what) => new($"{directory}: {what}. {Damaged}");

    [DoesNotReturn]
    internal static void Throw(nint error, string directory) => throw Of(Text(error), directory);

    private static string InTableFiles(string text, string directory)
    {
        if (text.Contains(".sst", StringComparison.Ordinal)) return "";
        string[] files = DamagedTableFiles.Find(directory);
        return files.Length == 0 ? "" : $" (in {string.Join(", ", files)})";
    }

    private static bool IsCorruption(string text) => text.Contains("Corruption", StringComparison.Ordinal);
}
