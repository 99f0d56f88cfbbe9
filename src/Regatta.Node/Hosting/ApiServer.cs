using Grpc.AspNetCore.Server;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Regatta.Protocol.Compression;

namespace Regatta.Node;

/// <summary>A port for gRPC over HTTP/2 without TLS: the clients', and the follower sites'. Servers of their own, so that they can stop before the others.</summary>
internal static class ApiServer
{
    // For what surrounds the largest request: its frame and headers.
    private const long BodyOverhead = 64 << 10;

    // Enough for a large request or page on its way without a round trip for every part of it.
    private const int ConnectionWindowBytes = 4 << 20;
    private const int StreamWindowBytes = 1 << 20;

    // A client that is gone without a word must not hold its calls, and the views behind them, open.
    private static readonly TimeSpan PingAfterSilence = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(20);

    /// <param name="option">The option that gave the address.</param>
    /// <param name="addServices">Adds what is served there.</param>
    public static WebServer Build(
        string option, ListenAddress address, NodeOptions options, Action<Endpoints> addServices, CallGuard guard, ILoggerFactory loggers)
    {
        WebApplicationBuilder builder = WebServer.NewBuilder(loggers, kestrel =>
        {
            kestrel.Listen(address.EndPoint, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Limits.MaxConcurrentConnections = options.ApiMaxConcurrentConnections == 0 ? null : options.ApiMaxConcurrentConnections;
            kestrel.Limits.MaxRequestBodySize = options.MaxRequestBytes + BodyOverhead;
            kestrel.Limits.Http2.MaxStreamsPerConnection = (int)options.ApiMaxConcurrentStreams;
            kestrel.Limits.Http2.KeepAlivePingDelay = PingAfterSilence;
            kestrel.Limits.Http2.KeepAlivePingTimeout = PingTimeout;
            kestrel.Limits.Http2.InitialConnectionWindowSize = ConnectionWindowBytes;
            kestrel.Limits.Http2.InitialStreamWindowSize = StreamWindowBytes;
        });
        builder.Services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = (int)options.MaxRequestBytes;
            grpc.MaxSendMessageSize = null;
            grpc.CompressionProviders = [.. MessageEncodings.All];
        });
        Endpoints endpoints = new(builder.Services, guard);
        addServices(endpoints);
        WebApplication application = builder.Build();
        endpoints.Map(application);
        return new WebServer(option, address, application);
    }

    /// <summary>Collects services before the server is built and maps their methods after.</summary>
    internal sealed class Endpoints(IServiceCollection container, CallGuard guard)
    {
        private readonly List<Action<IEndpointRouteBuilder>> _maps = [];

        public void Add<TService>(Action<ServiceBinderBase> bind)
        {
            EndpointMethods<TService> methods = new(bind, guard);
            container.AddSingleton<IServiceMethodProvider<GrpcEndpoint<TService>>>(methods);
            container.AddSingleton<IGrpcServiceActivator<GrpcEndpoint<TService>>>(methods);
            _maps.Add(routes => routes.MapGrpcService<GrpcEndpoint<TService>>().Add(HoldReplies));
        }

        // Unary methods whose replies may be large.
        private static void HoldReplies(EndpointBuilder endpoint)
        {
            bool isLarge = endpoint.Metadata.OfType<GrpcMethodMetadata>().Any(method => method.Method.FullName is "/regatta.v1.KV/Range" or "/regatta.v1.KV/Txn");
            if (isLarge)
                endpoint.RequestDelegate = ReplyBudget.Holding(endpoint.RequestDelegate!);
        }

        public void Map(IEndpointRouteBuilder routes)
        {
            foreach (Action<IEndpointRouteBuilder> map in _maps)
                map(routes);
        }
    }
}
