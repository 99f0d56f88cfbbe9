using System.Collections.Immutable;
using Google.Protobuf;
using Regatta.Core;
using Regatta.Protocol.Mvcc;
using WireCompare = Regatta.Protocol.Mvcc.Compare;

namespace Regatta.Replication;

/// <summary>
/// Commands as messages of the wire, and back. Byte strings wrap the memory they get, and keys and values are slices of the message: nothing is copied. Pure and
/// thread-safe.
/// </summary>
public static class CommandMessages
{
    private static readonly ByteString FromHereOn = ByteString.CopyFrom(0);

    /// <param name="command">Of a changelog: without compares, ranges and wishes for previous records.</param>
    public static Command Of(ByteString table, RevisedCommand command)
    {
        Command message = new() { Table = table, LeaderIndex = (ulong)command.Revision };
        switch (command.Command)
        {
            case DummyCommand:
                message.Type = Command.Types.CommandType.Dummy;
                break;
            case PutCommand put:
                message.Type = Command.Types.CommandType.Put;
                message.Kv = new KeyValue { Key = Bytes(put.Key), Value = Bytes(put.Value) };
                break;
            case TxnCommand { Compares: [], Failure: [], Success: var operations }:
                message.Type = Command.Types.CommandType.Txn;
                message.Txn = new Txn();
                message.Txn.Success.AddRange(operations.Select(Operation));
                break;
            default:
                throw new ArgumentException($"A changelog has no {command.Command.GetType().Name} like this.", nameof(command));
        }

        return message;
    }

    /// <summary>A command of a leader site, ours or of the Go project, whose commands are requests and not effects.</summary>
    /// <exception cref="InvalidDataException">The message is of a kind that leader sites do not send, or lacks what its kind needs.</exception>
    public static TableCommand Read(Command message)
    {
        ArgumentNullException.ThrowIfNull(message);
        switch (message)
        {
            case { Type: Command.Types.CommandType.Dummy }:
                return new DummyCommand();
            case { Type: Command.Types.CommandType.Put, Kv: { } pair }:
                return new PutCommand(pair.Key.Memory, pair.Value.Memory, WantPrevious: false);
            case { Type: Command.Types.CommandType.Delete, Kv: { } pair }:
                return new DeleteRangeCommand(Range(pair.Key, message), WantPrevious: false, WantCount: false);
            case { Type: Command.Types.CommandType.PutBatch, Batch: var batch }:
                return Always(batch.Select(static pair => new TxnOp.Put(pair.Key.Memory, pair.Value.Memory, WantPrevious: false)));
            case { Type: Command.Types.CommandType.DeleteBatch, Batch: var batch }:
                return Always(batch.Select(static pair => new TxnOp.DeleteRange(KeyRange.Single(pair.Key.Memory), WantPrevious: false, WantCount: false)));
            case { Type: Command.Types.CommandType.Txn, Txn: { } txn }:
                return new TxnCommand([.. txn.Compare.Where(IsKnown).Select(WireOperations.Compare)], Operations(txn.Success), Operations(txn.Failure));
            default:
                throw new InvalidDataException($"the command is of kind {message.Type}, or lacks what that kind needs; a leader site sends no such command");
        }
    }

    // Unlike in requests it is presence that makes a range.
    private static KeyRange Range(ByteString key, Command message) =>
        !message.HasRangeEnd ? KeyRange.Single(key.Memory)
        : message.RangeEnd == FromHereOn ? KeyRange.From(key.Memory)
        : KeyRange.Interval(key.Memory, message.RangeEnd.Memory);

    private static TxnCommand Always(IEnumerable<TxnOp> operations) => new([], [.. operations], []);

    private static ImmutableArray<TxnOp> Operations(IEnumerable<RequestOp> operations) =>
        [.. operations.Select(static operation => WireOperations.Operation(operation) ?? throw new InvalidDataException("a transaction of the leader site has an operation of an unknown kind"))];

    // To the Go project a target that it does not know holds.
    private static bool IsKnown(WireCompare compare) => compare.TargetUnionCase != WireCompare.TargetUnionOneofCase.None
        || compare.Target == WireCompare.Types.CompareTarget.Value;

    private static RequestOp Operation(TxnOp operation) => operation switch
    {
        TxnOp.Put put => new RequestOp { RequestPut = new RequestOp.Types.Put { Key = Bytes(put.Key), Value = Bytes(put.Value) } },
        TxnOp.DeleteRange delete => new RequestOp { RequestDeleteRange = new RequestOp.Types.DeleteRange { Key = Bytes(delete.Keys.Start), RangeEnd = End(delete.Keys) } },
        _ => throw new ArgumentException($"A changelog has no {operation.GetType().Name}.", nameof(operation)),
    };

    private static ByteString End(KeyRange range) => range.Kind switch
    {
        KeyRangeKind.Single => ByteString.Empty,
        KeyRangeKind.From => FromHereOn,
        _ => Bytes(range.End),
    };

    private static ByteString Bytes(ReadOnlyMemory<byte> bytes) => UnsafeByteOperations.UnsafeWrap(bytes);
}
