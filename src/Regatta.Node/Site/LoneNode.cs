using System.Collections.Immutable;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>A site of one node.</summary>
internal sealed class LoneNode(long self, TableHashing hashing) : ISiteCalls
{
    public ImmutableArray<long> Members { get; } = [self];

    public Task<NodeHashes> HashAsync(long nodeId, ServedTable table, long revision, CancellationToken deadline) =>
        hashing.HashAsync(table, revision, deadline);

    public Task<Rejection?> MoveLeaderAsync(ServedTable table, long nodeId, CancellationToken deadline) => Task.FromResult(
        table.Group.LeaderNodeId == nodeId
            ? null
            : new Rejection(StatusCode.Unavailable, "the table's group has no leader at present; try again when it has one"));
}
