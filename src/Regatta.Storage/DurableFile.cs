using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Regatta.Storage;

/// <summary>
/// Writing files so that they survive a power loss. .NET's own flush calls swallow fsync errors (docs/TRACK_RECORD.md); these check
/// them and throw a <see cref="SyncFailedException"/>. After a failed sync the kernel may already have dropped the dirty pages: a second try
/// could succeed without the data, so nobody retries; whoever relied on the file stops. All members are thread-safe.
/// </summary>
public static class DurableFile
{
    private const string Unknown = "What was written before may be lost: stop and check the disk.";

    /// <summary>Syncs an open file's data and metadata.</summary>
    /// <param name="path">For the error message.</param>
    public static void Sync(SafeFileHandle file, string path)
    {
        ArgumentNullException.ThrowIfNull(file);
        bool held = false;
        try
        {
            file.DangerousAddRef(ref held);
            Sync((int)file.DangerousGetHandle(), path);
        }
        finally
        {
            if (held) file.DangerousRelease();
        }
    }

    /// <summary>Syncs a directory: files created, renamed and removed in it stay so.</summary>
    public static void SyncDirectory(string path)
    {
        int descriptor = LibC.Open(path, LibC.ReadOnly | LibC.CloseOnExec, 0);
        if (descriptor < 0) throw LibC.Error("open", path, Unknown);
        try
        {
            Sync(descriptor, path);
        }
        finally
        {
            _ = LibC.Close(descriptor);
        }
    }

    /// <summary>Replaces a whole file atomically: after a crash it holds the old bytes or the new ones, and the new ones once this returned.</summary>
    public static void Replace(string path, ReadOnlySpan<byte> content)
    {
        string full = Path.GetFullPath(path);
        string staging = full + ".tmp";
        using (SafeFileHandle file = File.OpenHandle(staging, FileMode.Create, FileAccess.Write, FileShare.None))
        {
            RandomAccess.Write(file, content, 0);
            Sync(file, staging);
        }

        File.Move(staging, full, overwrite: true);
        SyncDirectory(Parent(full));
    }

    /// <summary>Creates a directory and those above it that are missing, each durable in its parent. No error if it exists.</summary>
    public static void CreateDirectory(string path)
    {
        string full = Path.GetFullPath(path);
        if (Directory.Exists(full)) return;
        string parent = Parent(full);
        CreateDirectory(parent);
        Directory.CreateDirectory(full);
        SyncDirectory(parent);
    }

    /// <summary>Renames a directory, durably on both sides.</summary>
    public static void MoveDirectory(string source, string target)
    {
        Directory.Move(source, target);
        string from = Parent(Path.GetFullPath(source));
        string to = Parent(Path.GetFullPath(target));
        SyncDirectory(to);
        if (from != to) SyncDirectory(from);
    }

    /// <summary>Makes a new directory with the files of another one, which must have no directories in it, as further links to them. Not synced.</summary>
    public static void LinkFiles(string source, string target)
    {
        Directory.CreateDirectory(target);
        foreach (string file in Directory.EnumerateFiles(source))
        {
            string added = Path.Combine(target, Path.GetFileName(file));
            if (LibC.Link(file, added) != 0)
                throw LibC.Error("link", file, $"It was to become {added}; nothing was lost.");
        }
    }

    internal static void Sync(int descriptor, string path)
    {
        // A signal may interrupt the call before it did anything; that is no failed sync.
        while (LibC.Sync(descriptor) != 0)
            if (Marshal.GetLastPInvokeError() != LibC.Interrupted)
                throw new SyncFailedException(LibC.Error("fsync", path, Unknown).Message);
    }

    internal static string Parent(string fullPath) =>
        Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(fullPath))
        ?? throw new ArgumentException($"{fullPath} has no parent directory", nameof(fullPath));
}
