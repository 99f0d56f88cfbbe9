using Google.Protobuf;
using Regatta.Core;
using Regatta.Protocol.Mvcc;

namespace Regatta.Replication;

/// <summary>Commands of the changelog as messages of the wire. Byte strings wrap the memory they get: nothing is copied before serialization.</summary>
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
