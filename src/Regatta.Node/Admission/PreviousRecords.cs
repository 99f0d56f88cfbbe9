using System.Collections.Immutable;
using Grpc.Core;
using Regatta.Core;

namespace Regatta.Node;

/// <summary>
/// Refuses writes whose previous records, asked for with prev_kv, would not fit into a reply: the deletion would be done and its answer
/// could not be delivered. Looked up in the present state; what is written between the look and the write may still make the reply larger.
/// </summary>
internal static class PreviousRecords
{
    // As PageSize counts a record: an upper bound of its tags, lengths, revisions and version on the wire.
    private const int RecordBytes = 48;

    /// <exception cref="RpcException">FAILED_PRECONDITION: too large; or the deadline passed.</exception>
    public static void ThrowIfTooLarge(ITableReader reader, DeleteRangeCommand delete, int pageBytes, CallDeadline deadline)
    {
        using ITableView view = reader.OpenView();
        long left = pageBytes;
        Take(view, delete.Range, ref left, pageBytes, deadline);
    }

    /// <inheritdoc cref="ThrowIfTooLarge(ITableReader, DeleteRangeCommand, int, CallDeadline)"/>
    public static void ThrowIfTooLarge(ITableReader reader, TxnCommand txn, int pageBytes, CallDeadline deadline)
    {
        if (!txn.Success.Any(WantsPrevious) && !txn.Failure.Any(WantsPrevious))
            return;
        using ITableView view = reader.OpenView();
        TakeBranch(view, txn.Success, pageBytes, deadline);
        TakeBranch(view, txn.Failure, pageBytes, deadline);
    }

    private static bool WantsPrevious(TxnOp operation) => operation is TxnOp.Put { WantPrevious: true } or TxnOp.DeleteRange { WantPrevious: true };

    private static void TakeBranch(ITableView view, ImmutableArray<TxnOp> branch, int pageBytes, CallDeadline deadline)
    {
        long left = pageBytes;
        foreach (TxnOp operation in branch)
        {
            if (operation is TxnOp.Put { WantPrevious: true } put)
                Take(view, KeyRange.Single(put.Key), ref left, pageBytes, deadline);
            else if (operation is TxnOp.DeleteRange { WantPrevious: true } delete)
                Take(view, delete.Keys, ref left, pageBytes, deadline);
        }
    }

    private static void Take(ITableView view, KeyRange keys, ref long left, int pageBytes, CallDeadline deadline)
    {
        if (keys.IsSingle)
        {
            // One record always fits by itself, but a transaction may name many.
            if (view.TryGet(keys.Start.Span, out _, out ReadOnlyMemory<byte> value) && (left -= Size(keys.Start.Length, value.Length)) < 0)
                throw TooLarge(pageBytes);
            return;
        }
        using ITableCursor cursor = view.Scan(keys);
        while (cursor.MoveNext())
        {
            if ((left -= Size(cursor.Key.Length, cursor.Value.Length)) < 0)
                throw TooLarge(pageBytes);
            if (deadline.Token.IsCancellationRequested)
                throw deadline.Expired(Failures.NothingHappened);
        }
    }

    private static long Size(int keyBytes, int valueBytes) => (long)keyBytes + valueBytes + RecordBytes;

    private static RpcException TooLarge(int pageBytes) => new(new Status(
        StatusCode.FailedPrecondition,
        $"prev_kv would return more than {pageBytes} bytes, the limit of a reply; nothing was written: name fewer keys or leave prev_kv out"));
}
