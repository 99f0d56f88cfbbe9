using Google.Protobuf;
using Regatta.Protocol.Peer;
using Regatta.Protocol.Replication;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>Asks the other nodes of the site what they know of how far the leader site's tables are. Thread-safe.</summary>
internal sealed class NeighbourProbe(ISiteLink link, long self, ProbeMessages messages, TimeProvider time)
{
    private static readonly byte[] Question = new NodeQuestion { Probe = new ProbeRequest() }.ToByteArray();

    private readonly long[] _others = [.. link.Nodes.Where(node => node != self)];

    /// <summary>Takes in what those say that answer in time. Does not fail: what a node does not tell is as old as it was.</summary>
    public Task RoundAsync(TimeSpan timeout, CancellationToken cancellationToken) => Task.WhenAll(_others.Select(node => AskAsync(node, timeout, cancellationToken)));

    private async Task AskAsync(long node, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using TimeLimit limit = new(timeout, time, cancellationToken);
        try
        {
            long asked = time.GetTimestamp();
            NodeAnswer answer = NodeAnswer.Parser.ParseFrom((await link.AskAsync(node, Question, limit.Token)).Span);
            if (answer.Probe is { } known)
                messages.Take(known, asked);
        }
        catch (Exception e) when (e is IOException or InvalidProtocolBufferException or OperationCanceledException or ObjectDisposedException)
        {
            // As above; an older version does not know the question.
        }
    }
}
