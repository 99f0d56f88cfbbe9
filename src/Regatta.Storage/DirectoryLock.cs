using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Regatta.Storage;

/// <summary>
/// Keeps a second process (and a second node within this one) out of a data directory. The kernel releases it with the process,
/// however that ends; the file stays and means nothing by itself.
/// </summary>
internal sealed class DirectoryLock : IDisposable
{
    private readonly SafeFileHandle _file;

    private DirectoryLock(SafeFileHandle file) => _file = file;

    /// <exception cref="StorageRefusedException">Somebody else has it.</exception>
    internal static DirectoryLock Acquire(string path)
    {
        // Not FileShare.None: .NET's own locking can be switched off from outside. Close-on-exec, else a child process would hold it too.
        int descriptor = LibC.Open(path, LibC.ReadWriteCreate | LibC.CloseOnExec, 0x180);
        if (descriptor < 0) throw LibC.Error("open", path, "The data directory cannot be locked: check its permissions.");
        var file = new SafeFileHandle(descriptor, ownsHandle: true);
        if (LibC.Lock(descriptor, LibC.LockExclusive | LibC.LockNonBlocking) != 0)
        {
            IOException error = LibC.Error("flock", path, "The data directory cannot be locked.");
            bool taken = Marshal.GetLastPInvokeError() == LibC.WouldBlock;
            string holder = taken ? Holder(file) : "";
            file.Dispose();
            throw taken ? Taken(path, holder) : error;
        }

        byte[] id = Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n");
        RandomAccess.SetLength(file, 0);
        RandomAccess.Write(file, id, 0);
        return new DirectoryLock(file);
    }

    public void Dispose() => _file.Dispose();

    private static string Holder(SafeFileHandle file)
    {
        Span<byte> text = stackalloc byte[32];
        int length = RandomAccess.Read(file, text, 0);
        return Encoding.ASCII.GetString(text[..length]).Trim();
    }

    private static StorageRefusedException Taken(string path, string holder) => new(
        $"{DurableFile.Parent(path)} is in use by {(holder.Length == 0 ? "another process" : "process " + holder)}: " +
        "one node at a time may use a data directory. Stop the other one or choose another directory.");
}
