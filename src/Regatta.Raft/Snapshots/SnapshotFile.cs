using System.Buffers;
using System.IO.Hashing;
using Microsoft.Win32.SafeHandles;

namespace Regatta.Raft;

/// <summary>One file of a snapshot.</summary>
/// <param name="Name">Plain: see <see cref="IsPlain"/>.</param>
/// <param name="Hash">XXH3, 128 bits, over all its bytes.</param>
internal readonly record struct SnapshotFile(string Name, long Bytes, UInt128 Hash)
{
    public const int MaxNameLength = 100;
    private const int HashBufferBytes = 128 << 10;

    private static readonly SearchValues<char> Plain = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    /// <summary>
    /// The name can only be that of a file right in the directory that it is put into: letters, digits, '-', '_' and '.', which is not the first.
    /// All of RocksDB's names are such.
    /// </summary>
    public static bool IsPlain(string name) =>
        name.Length is > 0 and <= MaxNameLength && name[0] != '.' && !name.AsSpan().ContainsAnyExcept(Plain);

    /// <summary>Describes a file as it is on disk. Reads all of it.</summary>
    public static SnapshotFile Of(string path, CancellationToken cancellationToken)
    {
        XxHash128 hash = new();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(HashBufferBytes);
        try
        {
            using SafeFileHandle file = File.OpenHandle(
                path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.SequentialScan);
            long bytes = 0;
            while (RandomAccess.Read(file, buffer, bytes) is > 0 and var read)
            {
                cancellationToken.ThrowIfCancellationRequested();
                hash.Append(buffer.AsSpan(0, read));
                bytes += read;
            }

            return new SnapshotFile(Path.GetFileName(path), bytes, hash.GetCurrentHashAsUInt128());
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
