using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;

namespace Regatta.Protocol.Channels;

/// <summary>
/// The nodes that a caller may ask: a channel for each, opened when it is first needed, and which of them is in use. Whoever finds one not working moves all on to the next.
/// Thread-safe.
/// </summary>
public sealed class ChannelSet : IDisposable
{
    private readonly ImmutableArray<Uri> _addresses;
    private readonly ChannelSettings _settings;
    private readonly Lazy<GrpcChannel>[] _channels;
    private int _current;

    /// <param name="addresses">At least one; http://HOST:PORT.</param>
    /// <param name="settings">The same for all.</param>
    /// <param name="first">Which of them is used first, counted on from the beginning when there are fewer.</param>
    public ChannelSet(ImmutableArray<Uri> addresses, ChannelSettings settings, int first = 0)
    {
        ArgumentOutOfRangeException.ThrowIfZero(addresses.Length, nameof(addresses));
        _addresses = addresses;
        _settings = settings;
        _current = first % addresses.Length;
        _channels = [.. addresses.Select(address => new Lazy<GrpcChannel>(() => Open(address)))];
    }

    public int Count => _addresses.Length;

    /// <summary>The node in use.</summary>
    public ChannelRoute Current
    {
        get
        {
            int index = Volatile.Read(ref _current);
            return new ChannelRoute(index, _addresses[index], _channels[index].Value.CreateCallInvoker());
        }
    }

    /// <summary>Makes the node after this one the one in use, unless somebody else has moved on already.</summary>
    public void Leave(ChannelRoute route)
    {
        ArgumentNullException.ThrowIfNull(route);
        Interlocked.CompareExchange(ref _current, (route.Index + 1) % Count, route.Index);
    }

    public void Dispose()
    {
        foreach (Lazy<GrpcChannel> channel in _channels.Where(static channel => channel.IsValueCreated))
            channel.Value.Dispose();
    }

    private GrpcChannel Open(Uri address) => GrpcChannel.ForAddress(address, new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler
        {
            EnableMultipleHttp2Connections = true,
            KeepAlivePingDelay = _settings.PingDelay,
            KeepAlivePingTimeout = _settings.PingTimeout,
            ConnectCallback = (context, token) => ConnectAsync(context.DnsEndPoint, token),
            UseProxy = false,
            InitialHttp2StreamWindowSize = _settings.StreamWindowBytes,
        },
        DisposeHttpClient = true,
        MaxReceiveMessageSize = _settings.MaxReceiveBytes,
        MaxSendMessageSize = null,
    });

    // The handler's own ConnectTimeout ends as a cancellation, which looks like a broken call; as a SocketException it is what it is: not connected.
    private async ValueTask<Stream> ConnectAsync(DnsEndPoint endpoint, CancellationToken token)
    {
        using CancellationTokenSource timeout = new(_settings.ConnectTimeout, _settings.Clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(token, timeout.Token);
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(endpoint, either.Token).ConfigureAwait(false);
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

/// <summary>A node to send a call to.</summary>
/// <param name="Index">Its place among the addresses.</param>
public sealed record ChannelRoute(int Index, Uri Address, CallInvoker Invoker);

/// <summary>How nodes are connected with.</summary>
public sealed record ChannelSettings
{
    /// <summary>How long a connection may take to be made.</summary>
    public required TimeSpan ConnectTimeout { get; init; }

    /// <summary>After how long without a word the node is asked whether it is there.</summary>
    public required TimeSpan PingDelay { get; init; }

    /// <summary>How long it may take to answer; then the connection is given up, and with it all calls on it.</summary>
    public required TimeSpan PingTimeout { get; init; }

    /// <summary>The largest message that is taken; null: any.</summary>
    public required int? MaxReceiveBytes { get; init; }

    /// <summary>Bytes of one call's reply that may be on their way before any is read. The default, 65535, is HTTP/2's: a large reply waits for the way there and back that often until it has grown.</summary>
    public int StreamWindowBytes { get; init; } = 65_535;

    public required TimeProvider Clock { get; init; }
}
