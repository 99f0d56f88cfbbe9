using Regatta.Core;
using Regatta.Protocol.Mvcc;
using Compare = Regatta.Core.Compare;
using WireCompare = Regatta.Protocol.Mvcc.Compare;

namespace Regatta.Replication;

/// <summary>Parts of a transaction from messages of the wire, as they are: nothing is checked, keys and values are slices of the message. Pure and thread-safe.</summary>
public static class WireOperations
{
    /// <returns>Null: the message holds no operation that this version knows.</returns>
    public static TxnOp? Operation(RequestOp operation)
    {
        ArgumentNullException.ThrowIfNull(operation);
        return operation.RequestCase switch
        {
            RequestOp.RequestOneofCase.RequestRange => new TxnOp.Range(
                KeyRange.FromWire(operation.RequestRange.Key.Memory, operation.RequestRange.RangeEnd.Memory),
                operation.RequestRange.Limit, operation.RequestRange.KeysOnly, operation.RequestRange.CountOnly),
            RequestOp.RequestOneofCase.RequestPut => new TxnOp.Put(
                operation.RequestPut.Key.Memory, operation.RequestPut.Value.Memory, operation.RequestPut.PrevKv),
            RequestOp.RequestOneofCase.RequestDeleteRange => new TxnOp.DeleteRange(
                KeyRange.FromWire(operation.RequestDeleteRange.Key.Memory, operation.RequestDeleteRange.RangeEnd.Memory),
                operation.RequestDeleteRange.PrevKv, operation.RequestDeleteRange.Count),
            _ => null,
        };
    }

    /// <param name="compare">Without an operand it asks whether the key exists.</param>
    public static Compare Compare(WireCompare compare)
    {
        ArgumentNullException.ThrowIfNull(compare);
        KeyRange keys = KeyRange.FromWire(compare.Key.Memory, compare.RangeEnd.Memory);
        CompareOperator relation = (CompareOperator)compare.Result;
        return compare.TargetUnionCase switch
        {
            WireCompare.TargetUnionOneofCase.Value => new Compare(keys, relation, CompareTarget.Value, compare.Value.Memory, 0),
            WireCompare.TargetUnionOneofCase.Version => new Compare(keys, relation, CompareTarget.Version, default, compare.Version),
            WireCompare.TargetUnionOneofCase.CreateRevision =>
                new Compare(keys, relation, CompareTarget.CreateRevision, default, compare.CreateRevision),
            WireCompare.TargetUnionOneofCase.ModRevision => new Compare(keys, relation, CompareTarget.ModRevision, default, compare.ModRevision),
            _ => new Compare(keys, relation, CompareTarget.Exists, default, 0),
        };
    }
}
