using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>Bytes that <see cref="CommandEncoding"/> will write, without writing them.</summary>
internal static class CommandSize
{
    public static long Of(TableCommand command) => command switch
    {
        PutCommand put => 1L + Put(put.Key, put.Value),
        DeleteRangeCommand delete => 2L + KeyRangeEncoding.Size(delete.Range),
        TxnCommand txn => 1L + Compares(txn.Compares) + Operations(txn.Success) + Operations(txn.Failure),
        ReplicatedBatch batch => 1L + CommandEncoding.SizeOf(batch.Incarnation) + Sizes.Varint(checked((ulong)batch.Before))
            + Sizes.Varint((uint)batch.Commands.Length) + batch.Commands.Sum(Of),
        InstallCommand install => 1L + CommandEncoding.SizeOf(install.Incarnation) + Sizes.Varint(checked((ulong)install.Revision)) + CommandEncoding.InstallHashes,
        _ => 1L,
    };

    private static long Put(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value) => 1L + Sizes.Bytes(key) + Sizes.Bytes(value);

    private static long Compares(ImmutableArray<Compare> compares)
    {
        long size = Sizes.Varint((uint)compares.Length);
        foreach (ref readonly Compare compare in compares.AsSpan())
            size += KeyRangeEncoding.Size(compare.Keys) + 2 + Sizes.Bytes(compare.Value) + Sizes.Signed(compare.Number);
        return size;
    }

    private static long Operations(ImmutableArray<TxnOp> operations)
    {
        long size = Sizes.Varint((uint)operations.Length);
        foreach (TxnOp operation in operations)
        {
            size += operation switch
            {
                TxnOp.Put put => 1 + Put(put.Key, put.Value),
                TxnOp.DeleteRange delete => 2 + KeyRangeEncoding.Size(delete.Keys),
                TxnOp.Range range => 2 + Sizes.Signed(range.Limit) + KeyRangeEncoding.Size(range.Keys),
                _ => 0,
            };
        }

        return size;
    }
}
