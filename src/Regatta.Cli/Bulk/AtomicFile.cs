using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Regatta.Cli;

/// <summary>
/// A file that appears whole and durable, or not at all: written under another name in its directory, synced, renamed. Dispose without
/// <see cref="Commit"/> leaves nothing behind. Devices and pipes are written directly.
/// </summary>
internal sealed partial class AtomicFile : IDisposable
{
    private readonly string _target;
    private readonly string? _temporary;
    private readonly FileStream _stream;

    /// <exception cref="IOException">The file cannot be made.</exception>
    public AtomicFile(string path)
    {
        _target = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(path);
        bool isSpecial = File.Exists(_target) && File.GetAttributes(_target) is var attributes && (attributes & FileAttributes.Device) != 0;
        _temporary = isSpecial || IsPipeOrDevice(_target) ? null : $"{_target}.{Environment.ProcessId}.tmp";
        _stream = new FileStream(_temporary ?? _target, _temporary is null ? FileMode.Open : FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
    }

    public Stream Stream => _stream;

    /// <exception cref="IOException">It could not be made durable; nothing has changed at the target.</exception>
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

    private static bool IsPipeOrDevice(string path) => File.Exists(path) && new FileInfo(path) is { Length: 0 } && path.StartsWith("/dev/", StringComparison.Ordinal);

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
