using Grpc.Core;
using Regatta.Core;

namespace Regatta.Node;

/// <summary>What one node says of a table at one revision.</summary>
/// <param name="Content">Null when only the history was asked for.</param>
/// <param name="Chain">Of the history up to the revision.</param>
/// <param name="Failure">Why there are no hashes; null if there are.</param>
internal sealed record NodeHashes(long NodeId, long Revision, TableHash? Content, ChainHash Chain, Rejection? Failure)
{
    /// <summary>The node had gone past the revision when it was asked: a later one may be had.</summary>
    public bool IsPast => Failure?.Code == StatusCode.OutOfRange;

    public static NodeHashes Failed(long nodeId, long revision, Rejection failure) => new(nodeId, revision, null, default, failure);
}
