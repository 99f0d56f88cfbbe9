using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;

namespace Regatta.Client;

/// <summary>One lazily opened channel per endpoint, and which of them is in use. Any thread may call anything.</summary>
internal sealed class EndpointSet : IDisposable
{
    private readonly ClientOptions _options;
    private readonly Lazy<GrpcChannel>[] _channels;
    private int _current;

    public EndpointSet(ClientOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfZero(options.Endpoints.Count);
        _options = options;
        _channels = [.. options.Endpoints.Select(endpoint => new Lazy<GrpcChannel>(() => Open(endpoint)))];
    }

    public int Count => _channels.Length;

    public Route Current
    {
        get
        {
            int index = Volatile.Read(ref _current);
            return new Route(index, _options.Endpoints[index], _channels[index].Value.CreateCallInvoker());
        }
    }

    /// <summary>Makes the endpoint after this one the current one, unless somebody else has already moved on.</summary>
    public void Leave(Route route) => Interlocked.CompareExchange(ref _current, (route.Index + 1) % Count, route.Index);

    public void Dispose()
    {
        foreach (Lazy<GrpcChannel> channel in _channels.Where(channel => channel.IsValueCreated))
            channel.Value.Dispose();
    }

    private GrpcChannel Open(Endpoint endpoint) => GrpcChannel.ForAddress(endpoint.Url, new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler
        {
            EnableMultipleHttp2Connections = true,
            KeepAlivePingDelay = TimeSpan.FromSeconds(30),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
            ConnectCallback = (context, token) => ConnectAsync(context.DnsEndPoint, token),
            UseProxy = false,
        },
        DisposeHttpClient = true,
        MaxReceiveMessageSize = _options.MaxReceiveBytes,
        MaxSendMessageSize = null,
    });

    // The handler's own ConnectTimeout ends as a cancellation, which looks like a broken call; as a SocketException it is what it is: not connected.
    private async ValueTask<Stream> ConnectAsync(System.Net.DnsEndPoint endpoint, CancellationToken token)
    {
        using CancellationTokenSource timeout = new(_options.ConnectTimeout, _options.Clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(token, timeout.Token);
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(endpoint, either.Token);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !token.IsCancellationRequested)
        {
            socket.Dispose();
            throw new SocketException((int)SocketError.TimedOut);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

/// <summary>An endpoint to send a call to.</summary>
internal readonly record struct Route(int Index, Endpoint Endpoint, CallInvoker Invoker);
