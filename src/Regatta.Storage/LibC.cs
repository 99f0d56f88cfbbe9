using System.Runtime.InteropServices;

namespace Regatta.Storage;

/// <summary>
/// The system calls that .NET either lacks (directories, flock) or whose errors it swallows (fsync). Linux only; every result is
/// checked by the caller, errno is read with <see cref="Marshal.GetLastPInvokeError"/>.
/// </summary>
internal static partial class LibC
{
    // Values of Linux on x86-64 and arm64, where they are equal.
    internal const int ReadOnly = 0;
    internal const int ReadWriteCreate = 0x2 | 0x40;
    internal const int CloseOnExec = 0x80000;
    internal const int LockExclusive = 2;
    internal const int LockNonBlocking = 4;
    internal const int Interrupted = 4;
    internal const int WouldBlock = 11;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    internal static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    internal static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    internal static partial int Lock(int descriptor, int operation);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Link(string existing, string added);

    /// <summary>The error of the last call as an exception that names the call and the file.</summary>
    internal static IOException Error(string call, string path, string consequence)
    {
        int errno = Marshal.GetLastPInvokeError();
        return new IOException($"{call} of {path} failed: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}). {consequence}");
    }
}
