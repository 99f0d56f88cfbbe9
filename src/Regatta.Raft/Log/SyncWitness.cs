using System.Buffers.Binary;
using System.IO.Hashing;
using Microsoft.Win32.SafeHandles;

namespace Regatta.Raft;

/// <summary>
/// Remembers, outside the database, how many rounds were synced. A damaged length at the end of a write-ahead log looks exactly like a write that
/// a crash tore, and RocksDB then opens without the records behind it, acknowledged or not. Each round carries its number; fewer rounds than
/// witnessed means damage. The number is written after the sync and never synced itself: a process that dies loses nothing of
/// it, and after a power loss it may be too low, which is safe.
/// </summary>
internal sealed class SyncWitness : IDisposable
{
    private const string FileName = "SYNCED";
    private const int Bytes = 2 * sizeof(ulong);

    private readonly SafeFileHandle _file;

    private long _round;

    private SyncWitness(SafeFileHandle file, long round)
    {
        _file = file;
        _round = round;
    }

    /// <summary>At least this many rounds were synced. May be read from any thread.</summary>
    public long Round => Volatile.Read(ref _round);

    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static SyncWitness Open(string directory)
    {
        string path = Path.Combine(directory, FileName);
        SafeFileHandle file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        Span<byte> content = stackalloc byte[Bytes];
        content.Clear();
        int read = RandomAccess.Read(file, content, 0);
        // A power loss right after the file was made leaves it empty or full of zeros.
        if (!content.ContainsAnyExcept((byte)0))
            return new SyncWitness(file, 0);
        if (read == Bytes && BinaryPrimitives.ReadUInt64LittleEndian(content) == XxHash3.HashToUInt64(content[sizeof(ulong)..]))
            return new SyncWitness(file, BinaryPrimitives.ReadInt64LittleEndian(content[sizeof(ulong)..]));
        file.Dispose();
        throw new InvalidDataException(
            $"The file '{path}' is damaged: its checksum does not match. It only tells how much of the Raft log must be there: "
            + "check the disk first; the node starts without the file, but then cannot tell a damaged end of its log from a torn one.");
    }

    public void Advance(long round)
    {
#if DEBUG
        // Nothing is synced, so nothing is witnessed.
        if (DebugBugs.Current == DebugBug.AcknowledgeBeforeSync)
            return;
#endif
        Span<byte> content = stackalloc byte[Bytes];
        BinaryPrimitives.WriteInt64LittleEndian(content[sizeof(ulong)..], round);
        BinaryPrimitives.WriteUInt64LittleEndian(content, XxHash3.HashToUInt64(content[sizeof(ulong)..]));
        RandomAccess.Write(_file, content, 0);
        Volatile.Write(ref _round, round);
    }

    public void Dispose() => _file.Dispose();
}
