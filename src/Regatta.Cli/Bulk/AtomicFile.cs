using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Regatta.Cli;

/// <summary>
/// A file that appears whole and durable, or not at all: written under another name in its directory, synced, renamed. Dispose without <see
/// cref="Commit"/> leaves nothing behind. Devices and pipes are written directly.
/// </summary>
internal sealed partial class AtomicFile : IDisposable
{
    private readonly string _target;
    private readonly string? _temporary;
    private readonly FileStream _stream;

    /// <exception cref="IOException">The file cannot be made.</exception>
    public AtomicFile(string path)
    {
        if (OpenSpecial(path) is { } special)
        {
            (_target, _stream) = (path, special);
            return;
        }
        // Through a symbolic link the file that it points to is replaced, not the link.
        _target = new FileInfo(path) is { LinkTarget: not null } link ? link.ResolveLinkTarget(returnFinalTarget: true)!.FullName : Path.GetFullPath(path);
        _temporary = $"{_target}.{Environment.ProcessId}.tmp";
        _stream = new FileStream(_temporary, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
    }

    public Stream Stream => _stream;

    /// <exception cref="IOException">It could not be made durable. The target is the old file or the whole new one.</exception>
    public void Commit()
    {
        if (_temporary is null)
            return;
        Sync(_stream.SafeFileHandle);
        _stream.Dispose();
        File.Move(_temporary, _target, overwrite: true);
        if (OperatingSystem.IsWindows())
            return;
        using SafeFileHandle directory = OpenDirectory(Path.GetDirectoryName(_target)!);
        Sync(directory);
    }

    public void Dispose()
    {
        _stream.Dispose();
        if (_temporary is not null)
            File.Delete(_temporary);
    }

    private static FileStream? OpenSpecial(string path)
    {
        if (!File.Exists(path))
            return null;
        FileStream stream = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        if (!stream.CanSeek || path.StartsWith("/dev/", StringComparison.Ordinal))
            return stream;
        stream.Dispose();
        return null;
    }

    // .NET's own flush does not report what the system's call answers.
    private static void Sync(SafeFileHandle handle)
    {
        if (!OperatingSystem.IsWindows() && SyncNative(handle) != 0)
            throw new IOException($"syncing the file failed: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");
    }

    private static SafeFileHandle OpenDirectory(string path)
    {
        int handle = OpenNative(path, 0);
        return handle >= 0
            ? new SafeFileHandle(handle, ownsHandle: true)
            : throw new IOException($"opening {path} failed: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");
    }

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int SyncNative(SafeFileHandle handle);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenNative(string path, int flags);
}
