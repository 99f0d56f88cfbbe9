using Microsoft.AspNetCore.Connections;

namespace Regatta.Raft;

/// <summary>The life of a connection, whoever dialled it: handshake, use, end. Nothing that the other side does leaves here as an exception.</summary>
internal sealed class PeerSessions(
    PeerNetworkOptions options, IReadOnlyDictionary<long, PeerLink> links, IPeerHandler handler, ServedCalls served, PeerJournal journal, TimeProvider time)
{
    /// <param name="dialled">Who was dialled; null when the other side has dialled.</param>
    /// <returns>Whether both sides had accepted each other.</returns>
    public async Task<bool> RunAsync(ConnectionContext context, long? dialled, CancellationToken stopping)
    {
        string address = context.RemoteEndPoint?.ToString() ?? "an unknown address";
        HandshakeOutcome outcome = await ShakeHandsAsync(context, dialled, stopping).ConfigureAwait(false);
        if (outcome.Peer is not { } peer)
        {
            bool isMember = outcome.NodeId is { } id && links.ContainsKey(id);
            if (!stopping.IsCancellationRequested)
                journal.NoConnection(isMember ? outcome.NodeId : null, dialled is not null, address, outcome.Reason);
            return false;
        }

        PeerLink link = links[peer.NodeId];
        using PeerConnection connection = new(context, peer, options, handler, served, journal, time);
        RaftMetrics.PeerConnections.Add(1);
        journal.Up(peer.NodeId, address);
        try
        {
            link.Attach(connection);
            string reason = await connection.RunAsync(stopping).ConfigureAwait(false);
            if (!stopping.IsCancellationRequested)
                journal.Down(peer.NodeId, reason);
        }
        finally
        {
            connection.Close("the connection failed");
            link.Detach(connection);
        }

        return true;
    }

    private async Task<HandshakeOutcome> ShakeHandsAsync(ConnectionContext context, long? dialled, CancellationToken stopping)
    {
        using CancellationTokenSource late = new(options.HandshakeTimeout, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stopping);
        Handshake handshake = new(options, context.Transport);
        try
        {
            return dialled is { } expected
                ? await handshake.DialAsync(expected, either.Token).ConfigureAwait(false)
                : await handshake.ListenAsync(either.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // An aborted connection comes as a cancellation too.
            string reason = late.IsCancellationRequested
                ? $"did not answer within {options.HandshakeTimeout.TotalSeconds:0.#} s"
                : "broke the connection off before it was accepted: " + e.Message;
            return new HandshakeOutcome(null, dialled, reason);
        }
    }
}
