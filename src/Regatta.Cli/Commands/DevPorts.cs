using System.Net;
using System.Net.Sockets;

namespace Regatta.Cli;

/// <summary>
/// The ports of <c>regatta dev</c>, all on 127.0.0.1. With a base port P, node n of the leader site has P + 10 (n - 1) for clients, and behind it replication,
/// peers and REST. Without one the system chooses, but for the ports of the peers, which all nodes must know before the first one listens.
/// </summary>
internal sealed class DevPorts
{
    public const int Default = 8443;

    private const int Replication = 1;
    private const int Peers = 2;
    private const int Rest = 3;
    private const int NodeStride = 10;

    // Below the ports from which the system takes those of outgoing connections (32768 and up on Linux), which come and go.
    private const int FirstProbed = 10_000;
    private const int LastProbed = 32_000;

    private readonly int _base;
    private readonly int _peers;
    private readonly int _peerStride;

    private DevPorts(int basePort, int peers, int peerStride) => (_base, _peers, _peerStride) = (basePort, peers, peerStride);

    /// <exception cref="CommandException">The ports of so many nodes do not fit above the base port.</exception>
    public static DevPorts From(int basePort, int nodes)
    {
        int largest = 65535 - Rest - (NodeStride * (nodes - 1));
        if (basePort < 0 || basePort > largest)
            throw CommandException.Usage($"--base-port must be from 0 to {largest}, not {basePort}");
        if (basePort > 0)
            return new DevPorts(basePort, basePort + Peers, NodeStride);
        // A node that is alone has no peers.
        return nodes == 1 ? new DevPorts(0, 0, 0) : new DevPorts(0, FreeBlock(nodes), 1);
    }

    /// <param name="node">From 1.</param>
    public string ClientUrl(int node) => Url(Offset(node, 0));

    public string ReplicationUrl(int node) => Url(Offset(node, Replication));

    public string RestUrl(int node) => Url(Offset(node, Rest));

    public string PeerAddress(int node) => $"{IPAddress.Loopback}:{_peers + (_peerStride * (node - 1))}";

    private static string Url(int port) => $"http://{IPAddress.Loopback}:{port}";

    private int Offset(int node, int service) => _base == 0 ? 0 : _base + (NodeStride * (node - 1)) + service;

    /// <summary>
    /// The first of so many ports in a row that were free when each was bound and let go. Another process may take one before the node does; then the node says
    /// that it cannot listen. Processes begin their search at different places.
    /// </summary>
    private static int FreeBlock(int count)
    {
        int blocks = (LastProbed - FirstProbed) / count;
        int start = Environment.ProcessId % blocks;
        for (int i = 0; i < blocks; i++)
        {
            int first = FirstProbed + ((start + i) % blocks * count);
            if (Enumerable.Range(first, count).All(IsFree))
                return first;
        }
        throw new CommandException(ExitCode.Failed, $"no {count} free ports in a row from {FirstProbed} to {LastProbed}", "give --base-port");
    }

    private static bool IsFree(int port)
    {
        using TcpListener listener = new(IPAddress.Loopback, port);
        try
        {
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
