using System.Collections.Immutable;
using Grpc.Core;
using Regatta.Protocol.Channels;

namespace Regatta.Replication;

/// <summary>The way from a follower site to the nodes of the leader site.</summary>
public static class LeaderEndpoints
{
    /// <param name="addresses">At least one; http://HOST:PORT.</param>
    /// <param name="maxReceiveBytes">The largest message that is taken.</param>
    /// <param name="first">Which of them is used first: of several nodes not all should begin with the same.</param>
    /// <param name="isPatient">The nodes are of the Go project: they break connections that ask more often than every 30 seconds whether they are there.</param>
    public static ChannelSet Open(ImmutableArray<Uri> addresses, int maxReceiveBytes, int first, bool isPatient, TimeProvider time) => new(
        addresses,
        new ChannelSettings
        {
            // One that is there and does not answer, because it was stopped or is cut off, must not be waited for for long.
            ConnectTimeout = TimeSpan.FromSeconds(2),
            PingDelay = TimeSpan.FromSeconds(isPatient ? 40 : 5),
            PingTimeout = TimeSpan.FromSeconds(5),
            MaxReceiveBytes = maxReceiveBytes,
            // A piece of a file in one go.
            StreamWindowBytes = 2 << 20,
            Clock = time,
        },
        first);

    /// <summary>What went wrong with a node, in words for the operator.</summary>
    public static string Describe(RpcException e, Uri address)
    {
        ArgumentNullException.ThrowIfNull(e);
        ArgumentNullException.ThrowIfNull(address);
        return e switch
        {
            _ when BrokenCall.NeverSent(e) => $"no node of the leader site answers at {address.Authority} ({BrokenCall.Cause(e)})",
            _ when BrokenCall.Cause(e) is { } cause => $"the connection to the leader site's node at {address.Authority} broke ({cause})",
            { Status.Detail: { Length: > 0 } detail } => $"the leader site's node at {address.Authority} says: {detail}",
            _ => $"the leader site's node at {address.Authority} answers {e.StatusCode} without a reason",
        };
    }
}
