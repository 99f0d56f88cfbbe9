using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace Regatta.Raft;

/// <summary>
/// The other nodes of the site and one connection with each: calls of all groups go over it, in both directions. The node with the lower id dials.
/// Knows nothing of Raft. Thread-safe, but for starting and closing.
/// </summary>
internal sealed class PeerNetwork : IAsyncDisposable
{
    private readonly FrozenDictionary<long, PeerLink> _links;
    private readonly ServedCalls _served = new();
    private readonly PeerNetworkOptions _options;
    private readonly PeerJournal _journal;
    private readonly PeerListener _listener;
    private readonly SocketConnectionContextFactory _connections;
    private readonly PeerDialer[] _dialers;
    private readonly CancellationTokenSource _stopping = new();
    private Task _dialling = Task.CompletedTask;
    private bool _isClosed;

    /// <exception cref="ArgumentException">An address is none, or this node is no member.</exception>
    public PeerNetwork(PeerNetworkOptions options, IPeerHandler handler, ILoggerFactory loggers, TimeProvider time)
    {
        if (!options.Members.ContainsKey(options.NodeId))
            throw new ArgumentException($"Node {options.NodeId} is not among the members", nameof(options));
        if (Encoding.UTF8.GetByteCount(options.SiteName) > Hello.MaxSiteBytes)
            throw new ArgumentException($"The site's name is longer than {Hello.MaxSiteBytes} bytes", nameof(options));
        ILogger logger = loggers.CreateLogger<PeerNetwork>();
        PeerJournal journal = new(logger);
        (_options, _journal) = (options, journal);
        _links = options.Members.Keys.Where(id => id != options.NodeId)
            .ToFrozenDictionary(id => id, id => new PeerLink(id, link => PeerChanged?.Invoke(link)));
        PeerSessions sessions = new(options, _links, handler, _served, journal, time);
        _listener = new PeerListener(
            PeerAddress.ToListen(options.ListenAddress), context => sessions.RunAsync(context, dialled: null, _stopping.Token), loggers);
        _connections = new SocketConnectionContextFactory(new SocketConnectionFactoryOptions(), logger);
        _dialers = [.. _links.Keys.Where(id => id > options.NodeId)
            .Select(id => new PeerDialer(id, options, sessions, _connections, journal, time))];
    }

    /// <summary>
    /// A connection came or went; what is so now the peer itself says, for events of several threads may overtake each other. Handlers are quick and do not
    /// throw.
    /// </summary>
    public event Action<PeerLink>? PeerChanged;

    /// <summary>Where this node listens, with the port that the system chose; once started.</summary>
    public IPEndPoint ListensAt => _listener.Address;

    public IEnumerable<PeerLink> Peers => _links.Values;

    /// <exception cref="KeyNotFoundException">It is no other member.</exception>
    public PeerLink this[long nodeId] => _links[nodeId];

    /// <summary>Each of the other nodes that there is no connection with, as a clause with its address and the reason.</summary>
    public ImmutableArray<string> Unreachable =>
    [
        .. _links.Values.Where(link => !link.IsConnected).OrderBy(link => link.NodeId).Select(
            link => $"node {link.NodeId} ({_options.Members[link.NodeId]}) {_journal.Reason(link.NodeId) ?? "has not been heard of"}"),
    ];

    /// <summary>Listens, and begins to dial. Does not wait for any connection.</summary>
    /// <exception cref="IOException">The address cannot be listened on.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _listener.StartAsync(cancellationToken).ConfigureAwait(false);
        _dialling = Task.WhenAll(_dialers.Select(dialer => Task.Run(() => dialer.RunAsync(_stopping.Token), CancellationToken.None)));
    }

    /// <summary>Fails the calls that are under way, closes all connections, and waits for the handlers of the requests, which are cancelled.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_isClosed)
            return;
        _isClosed = true;
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _dialling.ConfigureAwait(false);
        await _listener.DisposeAsync().ConfigureAwait(false);
        await _served.EndAsync().ConfigureAwait(false);
        _connections.Dispose();
        _stopping.Dispose();
    }
}
