using Google.Protobuf;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>Checks of Put and DeleteRange, and the commands made of them.</summary>
internal static class WriteAdmission
{
    /// <summary>What is wrong whatever the table holds.</summary>
    /// <exception cref="RpcException">INVALID_ARGUMENT.</exception>
    public static void ThrowOnForm(ByteString table, TableCommand command)
    {
        if (table.IsEmpty)
            throw Sentences.TableMustBeSet.ToException();
        if (CommandValidation.CheckPresence(command) is { } missing)
            throw Violations.ToException(missing);
    }

    /// <exception cref="RpcException">FAILED_PRECONDITION.</exception>
    public static void ThrowOnLimits(PutCommand command, Limits limits)
    {
        if (CommandValidation.CheckLimits(command, limits) is { } violation)
            throw Violations.ToException(violation, Violations.Detail(violation, "", KeyRange.Single(command.Key), command.Value.Length, limits));
    }

    /// <exception cref="RpcException">FAILED_PRECONDITION.</exception>
    public static void ThrowOnLimits(DeleteRangeCommand command, Limits limits)
    {
        if (CommandValidation.CheckLimits(command, limits) is { } violation)
            throw Violations.ToException(violation, Violations.Detail(violation, "", command.Range, 0, limits));
    }

    public static PutCommand Command(PutRequest request) => new(request.Key.Memory, request.Value.Memory, request.PrevKv);

    public static DeleteRangeCommand Command(DeleteRangeRequest request) =>
        new(KeyRange.FromWire(request.Key.Memory, request.RangeEnd.Memory), request.PrevKv, request.Count);
}
