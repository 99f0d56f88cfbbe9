using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Regatta.Raft;

/// <summary>The port for other nodes: a Kestrel server that speaks no HTTP there.</summary>
internal sealed class PeerListener : IAsyncDisposable
{
    /// <summary>Far more than a site has nodes; who does not finish the handshake makes room when its time is over.</summary>
    private const int MaxConnections = 256;

    private readonly ServiceProvider _services;
    private readonly KestrelServer _server;
    private ListenOptions? _listen;

    /// <param name="serve">Takes a connection and returns when it is over.</param>
    public PeerListener(IPEndPoint address, ConnectionDelegate serve, ILoggerFactory loggers)
    {
        _services = new ServiceCollection().AddSingleton(loggers).BuildServiceProvider();
        KestrelServerOptions kestrel = new() { ApplicationServices = _services };
        kestrel.Limits.MaxConcurrentConnections = MaxConnections;
        kestrel.Listen(
            address,
            listen =>
            {
                _listen = listen;
                // TLS goes here: listen.UseHttps(...).
                listen.Use(_ => serve);
            });
        SocketTransportFactory sockets = new(Options.Create(new SocketTransportOptions()), loggers);
        _server = new KestrelServer(Options.Create(kestrel), sockets, loggers);
    }

    /// <summary>With the port that the system chose, once started.</summary>
    public IPEndPoint Address => _listen!.IPEndPoint!;

    /// <exception cref="IOException">The address cannot be listened on.</exception>
    public Task StartAsync(CancellationToken cancellationToken) => _server.StartAsync(new NoRequests(), cancellationToken);

    /// <summary>Waits for the connections: whoever serves them ends them first.</summary>
    public async ValueTask DisposeAsync()
    {
        await _server.StopAsync(CancellationToken.None).ConfigureAwait(false);
        _server.Dispose();
        await _services.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Kestrel wants an application for the HTTP requests that can never come.</summary>
    private sealed class NoRequests : IHttpApplication<object>
    {
        public object CreateContext(IFeatureCollection contextFeatures) => throw new NotSupportedException();

        public Task ProcessRequestAsync(object context) => throw new NotSupportedException();

        public void DisposeContext(object context, Exception? exception)
        {
        }
    }
}
