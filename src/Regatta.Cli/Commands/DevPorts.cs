using System.Net;
using System.Net.Sockets;

namespace Regatta.Cli;

/// <summary>
/// The ports of <c>regatta dev</c>, all on 127.0.0.1. With a base port P, node n of site s has P + 100 s + 10 (n - 1) for clients, and behind it replication, peers and REST. Without
/// one the system chooses, but for those that others must know before the first node listens: the peers' of a site of several nodes, and replication where there are follower sites.
/// </summary>
internal sealed class DevPorts
{
    public const int Default = 8443;

    private const int Replication = 1;
    private const int Peers = 2;
    private const int Rest = 3;
    private const int NodeStride = 10;
    private const int SiteStride = 100;

    // Below the ports from which the system takes those of outgoing connections (32768 and up on Linux), which come and go.
    private const int FirstProbed = 21_000;
    private const int LastProbed = 32_000;

    private readonly int _base;
    private readonly int _free;
    private readonly DevSize _size;

    private DevPorts(int basePort, int free, DevSize size) => (_base, _free, _size) = (basePort, free, size);

    /// <exception cref="CommandException">The ports of so many nodes do not fit above the base port.</exception>
    public static DevPorts From(int basePort, DevSize size)
    {
        int largest = 65535 - Rest - (SiteStride * (size.Sites - 1)) - (size.Sites > 1 ? 0 : NodeStride * (size.Nodes - 1));
        if (basePort < 0 || basePort > largest)
            throw CommandException.Usage($"--base-port must be from 0 to {largest}, not {basePort}");
        int known = (size.HasPeers ? size.Nodes : 0) + (size.Sites > 1 ? size.Nodes : 0);
        return new DevPorts(basePort, basePort > 0 || known == 0 ? 0 : FreeBlock(known), size);
    }

    /// <param name="site">From 0, the leader site.</param>
    /// <param name="node">From 1.</param>
    public string ClientUrl(int site, int node) => Url(Offset(site, node, 0));

    public string ReplicationUrl(int site, int node) => Url(_base == 0 && _free > 0 && site == 0 && _size.Sites > 1
        ? _free + (_size.HasPeers ? _size.Nodes : 0) + node - 1
        : Offset(site, node, Replication));

    public string RestUrl(int site, int node) => Url(Offset(site, node, Rest));

    public string PeerAddress(int site, int node)
    {
        int port = _base > 0 ? Offset(site, node, Peers) : site == 0 && _size.HasPeers ? _free + node - 1 : 0;
        return $"{IPAddress.Loopback}:{port}";
    }

    private static string Url(int port) => $"http://{IPAddress.Loopback}:{port}";

    private int Offset(int site, int node, int service) => _base == 0 ? 0 : _base + (SiteStride * site) + (NodeStride * (node - 1)) + service;

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

/// <summary>How much <c>regatta dev</c> runs.</summary>
/// <param name="Nodes">Of the leader site; a follower site has one.</param>
/// <param name="Sites">The leader site included.</param>
internal sealed record DevSize(int Nodes, int Sites)
{
    /// <summary>A node that is alone in its site has no peers.</summary>
    public bool HasPeers => Nodes > 1;

    /// <summary>Site (from 0) and id of every node.</summary>
    public IEnumerable<(int Site, int Node)> All =>
        [.. Enumerable.Range(1, Nodes).Select(static node => (0, node)), .. Enumerable.Range(1, Sites - 1).Select(static site => (site, 1))];
}
