using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Regatta.Cli;

/// <summary>
/// Standard output that notices when nobody reads any more. .NET's own stream swallows that error, so a command at the head of a pipe would go on
/// fetching a whole table; a FileStream would use positions of its own and overwrite what others write to the same file. Not thread-safe.
/// </summary>
internal sealed partial class StandardOutput : Stream
{
    private const int OutputHandle = 1;
    private const int Eintr = 4;
    private const int Epipe = 32;

    private static readonly int Eagain = OperatingSystem.IsMacOS() ? 35 : 11;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            nint written = WriteNative(OutputHandle, buffer, (nuint)buffer.Length);
            if (written >= 0)
                buffer = buffer[(int)written..];
            else
                AfterError(Marshal.GetLastPInvokeError());
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        // Nothing is held back.
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private static void AfterError(int errno)
    {
        if (errno == Epipe)
            throw new ClosedPipeException();
        // Another process may have made the shared terminal non-blocking: wait until it takes bytes again.
        if (errno == Eagain)
        {
            PollEntry entry = new() { Handle = OutputHandle, Events = 4 };
            _ = Poll(ref entry, 1, -1);
        }
        else if (errno != Eintr)
            throw new IOException($"writing the output failed: {new Win32Exception(errno).Message}");
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Handle;
        public short Events;
        public short Returned;
    }

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteNative(int handle, ReadOnlySpan<byte> buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollEntry entries, nuint count, int timeout);
}

/// <summary>Whoever read the output has stopped: not worth a message.</summary>
internal sealed class ClosedPipeException : IOException;
