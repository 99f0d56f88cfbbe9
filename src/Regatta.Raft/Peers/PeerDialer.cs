using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Regatta.Raft;

/// <summary>Keeps dialling one member with a higher id, for as long as the network is open.</summary>
internal sealed class PeerDialer(
    long nodeId, PeerNetworkOptions options, PeerSessions sessions, SocketConnectionContextFactory connections, PeerJournal journal, TimeProvider time)
{
    public async Task RunAsync(CancellationToken stopping)
    {
        TimeSpan ceiling = options.MinBackOff;
        try
        {
            while (!stopping.IsCancellationRequested)
            {
                long started = time.GetTimestamp();
                bool wasUp = await TryOnceAsync(stopping).ConfigureAwait(false);
                // One that breaks at once, again and again, is no better than none.
                bool wasGood = wasUp && time.GetElapsedTime(started) >= options.MaxBackOff;
                ceiling = wasGood ? options.MinBackOff : Min(2 * ceiling, options.MaxBackOff);
                await Task.Delay(BackOff(ceiling), time, stopping).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The network is closing.
        }
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    /// <summary>Somewhere up to the ceiling: nodes that lost each other at the same moment do not all come back at the same moment.</summary>
    private TimeSpan BackOff(TimeSpan ceiling) =>
        options.MinBackOff + (Random.Shared.NextDouble() * (ceiling - options.MinBackOff));

    private async Task<bool> TryOnceAsync(CancellationToken stopping)
    {
        string address = "its address";
        try
        {
            EndPoint endPoint = options.DialAddress(nodeId);
            address = endPoint.ToString()!;
            await using ConnectionContext context = connections.Create(await ConnectAsync(endPoint, stopping).ConfigureAwait(false));
            return await sessions.RunAsync(context, nodeId, stopping).ConfigureAwait(false);
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            // Whatever it is: the next attempt may be better, and without attempts the node would be lost.
            journal.NoConnection(nodeId, isDialled: true, address, "cannot be reached: " + e.Message);
            return false;
        }
    }

    private async Task<Socket> ConnectAsync(EndPoint endPoint, CancellationToken stopping)
    {
        using CancellationTokenSource late = new(options.HandshakeTimeout, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stopping);
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(endPoint, either.Token).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
