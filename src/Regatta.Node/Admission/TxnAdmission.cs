using System.Collections.Immutable;
using Google.Protobuf.Collections;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.Mvcc;
using Regatta.Protocol.V1;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// The command of a Txn request, checked. Keys and values inside operations are held to the same limits as everywhere else (the Go
/// project does not check them); sentences say which operation is wrong.
/// </summary>
internal static class TxnAdmission
{
    /// <exception cref="RpcException">INVALID_ARGUMENT or FAILED_PRECONDITION.</exception>
    public static TxnCommand Command(TxnRequest request, Limits limits)
    {
        if (RangeAdmission.CheckFreshness(request.Consistency, request.MinRevision) is { } rejection)
            throw rejection.ToException();
        TxnCommand command = new(
            CompareAdmission.Compares(request.Compare), Operations(request.Success, "success"), Operations(request.Failure, "failure"));
        if (CommandValidation.CheckLimits(command, limits) is { } violation)
            throw Violations.ToException(violation, Locate(command, limits, violation));
        return command;
    }

    /// <summary>Neither branch can write. An operation that is none counts as one that can: it is refused later.</summary>
    public static bool IsReadOnly(TxnRequest request) => request.Success.All(IsRead) && request.Failure.All(IsRead);

    private static bool IsRead(RequestOp operation) => operation.RequestCase == RequestOp.RequestOneofCase.RequestRange;

    private static ImmutableArray<TxnOp> Operations(RepeatedField<RequestOp> operations, string branch)
    {
        ImmutableArray<TxnOp>.Builder result = ImmutableArray.CreateBuilder<TxnOp>(operations.Count);
        for (int i = 0; i < operations.Count; i++)
            result.Add(WireOperations.Operation(operations[i]) ?? throw Empty(branch, i));
        return result.MoveToImmutable();
    }

    private static RpcException Empty(string branch, int position) =>
        Rejection.Invalid($"{branch}[{position}] holds no operation; it must hold request_range, request_put or request_delete_range").ToException();

    // Only for a transaction that is refused: each part is checked alone until the one is found that is wrong alone, too.
    private static string Locate(TxnCommand txn, Limits limits, in Violation violation)
    {
        for (int i = 0; i < txn.Compares.Length; i++)
        {
            if (CommandValidation.CheckLimits(new TxnCommand([txn.Compares[i]], [], []), limits) is not null)
                return Violations.Detail(violation, $"compare[{i}].", txn.Compares[i].Keys, txn.Compares[i].Value.Length, limits);
        }
        return Locate(txn.Success, "success", limits, violation) ?? Locate(txn.Failure, "failure", limits, violation) ?? "";
    }

    private static string? Locate(ImmutableArray<TxnOp> branch, string name, Limits limits, in Violation violation)
    {
        for (int i = 0; i < branch.Length; i++)
        {
            if (CommandValidation.CheckLimits(new TxnCommand([], [branch[i]], []), limits) is null)
                continue;
            (KeyRange keys, int valueBytes) = branch[i] switch
            {
                TxnOp.Put put => (KeyRange.Single(put.Key), put.Value.Length),
                TxnOp.Range range => (range.Keys, 0),
                TxnOp.DeleteRange delete => (delete.Keys, 0),
                _ => throw new InvalidOperationException($"{branch[i].GetType().Name} has no place in a request"),
            };
            return Violations.Detail(violation, $"{name}[{i}].", keys, valueBytes, limits);
        }
        return null;
    }
}
