namespace Regatta.Core;

/// <summary>
/// What a node lets into the log. Checked when a request is admitted and never at apply, so that nodes with different limits still agree.
/// </summary>
/// <param name="KeyBytes">Longest key or range end, in bytes; at least 1.</param>
/// <param name="ValueBytes">Longest value, in bytes; at least 0.</param>
/// <param name="RequestBytes">Largest request message, in bytes; the transport refuses larger ones before they are decoded.</param>
/// <param name="TxnOperations">Most compares, and most operations of either branch, of one transaction; at least 1.</param>
public sealed record Limits(int KeyBytes, int ValueBytes, int RequestBytes, int TxnOperations)
{
    /// <summary>
    /// 1 KiB keys, 2 MiB values and 4 MiB requests, as the Go Regatta has them. It has no bound on a transaction's parts; 10,000 keeps one
    /// command from holding up the others of its table for longer than some tens of milliseconds.
    /// </summary>
    public static Limits Default { get; } = new(KeyBytes: 1024, ValueBytes: 2 << 20, RequestBytes: 4 << 20, TxnOperations: 10_000);
}
