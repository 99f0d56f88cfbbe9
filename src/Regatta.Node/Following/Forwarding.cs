using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Primitives;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>Whether a read goes to the leader site because this node is behind what the read asks for, and its client has said that it may.</summary>
internal sealed class Forwarding(ServedTables tables, Freshness freshness, TimeProvider time)
{
    public const string MetadataName = "regatta-forward";

    // What is on its way is here sooner than an answer of the leader site; what is not is not worth more of the client's time.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    private static readonly Rejection NotTrue = Rejection.Invalid($"{MetadataName} must be true, or left out");

    /// <exception cref="RpcException">INVALID_ARGUMENT: it is neither asked for nor left out.</exception>
    public static bool IsAsked(ServerCallContext context)
    {
        if (!context.GetHttpContext().Request.Headers.TryGetValue(MetadataName, out StringValues value))
            return false;
        return value is ["true"] ? true : throw NotTrue.ToException();
    }

    /// <summary>Waits a little for a revision of a table. For one that is recent enough it does not wait: to find out takes as long as the leader site's answer.</summary>
    /// <param name="maxStaleness">In milliseconds; 0: any.</param>
    /// <returns>False: this node does not have it.</returns>
    public async ValueTask<bool> IsHereAsync(ByteString table, ulong revision, ulong maxStaleness, CancellationToken cancellationToken)
    {
        // One that is unknown or out of order here is for the call itself to tell.
        if (!tables.Snapshot.TryGet(table.Span, out ServedTable? here))
            return true;
        return (maxStaleness == 0 || freshness.IsMet(maxStaleness, here))
            && ((long)revision <= here.Group.Reader.Revision || await ComesAsync(here, (long)revision, cancellationToken));
    }

    private async ValueTask<bool> ComesAsync(ServedTable here, long revision, CancellationToken cancellationToken)
    {
        using TimeLimit limit = new(Patience, time, cancellationToken);
        try
        {
            await here.Group.WaitForRevisionAsync(revision, limit.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return false;
        }
    }
}
