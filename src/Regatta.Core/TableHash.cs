using System.Buffers.Binary;
using System.IO.Hashing;

namespace Regatta.Core;

/// <summary>
/// Hash over what a table holds (XXH3, 128 bit, not cryptographic): over every key in order with its value, revisions and version. Says that two
/// nodes hold the same, however each came by it; a table's own revision is not in it. Pure and thread-safe.
/// </summary>
public readonly record struct TableHash(UInt128 Value)
{
    // Two lengths and three numbers. The lengths make it one-to-one: what ends a key cannot begin its value.
    private const int RecordHead = (2 * sizeof(int)) + (3 * sizeof(long));

    /// <summary>Reads the whole view: takes as long as the table is large.</summary>
    /// <exception cref="OperationCanceledException">Cancelled between two records.</exception>
    public static TableHash Of(ITableView view, CancellationToken cancellationToken)
    {
        var hash = new XxHash128();
        Span<byte> head = stackalloc byte[RecordHead];
        using ITableCursor cursor = view.Scan(KeyRange.From(ReadOnlyMemory<byte>.Empty));
        while (cursor.MoveNext())
        {
            cancellationToken.ThrowIfCancellationRequested();
            ReadOnlySpan<byte> key = cursor.Key;
            ReadOnlySpan<byte> value = cursor.Value;
            WriteHead(head, key.Length, value.Length, cursor.Header);
            hash.Append(head);
            hash.Append(key);
            hash.Append(value);
        }

        return new TableHash(hash.GetCurrentHashAsUInt128());
    }

    public override string ToString() => Value.ToString("x32");

    private static void WriteHead(Span<byte> head, int keyBytes, int valueBytes, in RecordHeader header)
    {
        BinaryPrimitives.WriteInt32LittleEndian(head, keyBytes);
        BinaryPrimitives.WriteInt32LittleEndian(head[4..], valueBytes);
        BinaryPrimitives.WriteInt64LittleEndian(head[8..], header.CreateRevision);
        BinaryPrimitives.WriteInt64LittleEndian(head[16..], header.ModRevision);
        BinaryPrimitives.WriteInt64LittleEndian(head[24..], header.Version);
    }
}
