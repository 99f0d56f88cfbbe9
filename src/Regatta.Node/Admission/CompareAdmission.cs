using System.Collections.Immutable;
using Google.Protobuf.Collections;
using Grpc.Core;
using Regatta.Replication;
using Compare = Regatta.Core.Compare;
using WireCompare = Regatta.Protocol.Mvcc.Compare;
using WireResult = Regatta.Protocol.Mvcc.Compare.Types.CompareResult;
using WireTarget = Regatta.Protocol.Mvcc.Compare.Types.CompareTarget;

namespace Regatta.Node;

/// <summary>A transaction's compares. A number that this version does not know is refused here: at apply nothing can be refused.</summary>
internal static class CompareAdmission
{
    /// <exception cref="RpcException">INVALID_ARGUMENT.</exception>
    public static ImmutableArray<Compare> Compares(RepeatedField<WireCompare> compares)
    {
        ImmutableArray<Compare>.Builder result = ImmutableArray.CreateBuilder<Compare>(compares.Count);
        for (int i = 0; i < compares.Count; i++)
        {
            if (Problem(compares[i]) is { } problem)
                throw Rejection.Invalid($"compare[{i}]{problem}").ToException();
            result.Add(WireOperations.Compare(compares[i]));
        }
        return result.MoveToImmutable();
    }

    private static string? Problem(WireCompare compare)
    {
        if (compare.Result is < WireResult.Equal or > WireResult.NotEqual)
            return $".result has the unknown value {(int)compare.Result}; it must be EQUAL, GREATER, LESS or NOT_EQUAL";
        if (compare.Target is not (WireTarget.Value or WireTarget.Version or WireTarget.Create or WireTarget.Mod))
            return $".target has the unknown value {(int)compare.Target}; it must be VALUE, VERSION, CREATE or MOD";
        return Agrees(compare) ? null : ": target and target_union must name the same property";
    }

    private static bool Agrees(WireCompare compare) => compare.TargetUnionCase switch
    {
        WireCompare.TargetUnionOneofCase.None => true,
        WireCompare.TargetUnionOneofCase.Value => compare.Target == WireTarget.Value,
        WireCompare.TargetUnionOneofCase.Version => compare.Target == WireTarget.Version,
        WireCompare.TargetUnionOneofCase.CreateRevision => compare.Target == WireTarget.Create,
        _ => compare.Target == WireTarget.Mod,
    };
}
