using Grpc.AspNetCore.Server;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>Tells the gRPC library the methods of a service that exists once per node.</summary>
/// <param name="bind">The generated <c>BindService</c> with its implementation.</param>
internal sealed class EndpointMethods<TService>(Action<ServiceBinderBase> bind, CallGuard guard)
    : IServiceMethodProvider<GrpcEndpoint<TService>>, IGrpcServiceActivator<GrpcEndpoint<TService>>
{
    // Methods do not look at it: they are closed over the one instance of the service.
    private static readonly GrpcEndpoint<TService> Endpoint = new();

    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<GrpcEndpoint<TService>> context) => bind(new Binder(context, guard));

    // Without a scope of dependency injection for each call.
    public GrpcActivatorHandle<GrpcEndpoint<TService>> Create(IServiceProvider serviceProvider) => new(Endpoint, created: false, state: null);

    public ValueTask ReleaseAsync(GrpcActivatorHandle<GrpcEndpoint<TService>> service) => ValueTask.CompletedTask;

    private sealed class Binder(ServiceMethodProviderContext<GrpcEndpoint<TService>> context, CallGuard guard) : ServiceBinderBase
    {
        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
        {
            GuardedMethod guarded = guard.Method(method);
            context.AddUnaryMethod(GuardedMarshaller.Of(method), [], (_, request, call) => guarded.RunAsync(handler!, request, call));
        }

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler)
        {
            GuardedMethod guarded = guard.Method(method);
            context.AddServerStreamingMethod(
                GuardedMarshaller.Of(method), [], (_, request, replies, call) => guarded.RunAsync(() => handler!(request, new GuardedWriter<TResponse>(replies, call), call), call));
        }

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler) =>
            throw new NotSupportedException($"{method.FullName} streams requests; nothing of ours does");

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler)
        {
            GuardedMethod guarded = guard.Method(method);
            context.AddDuplexStreamingMethod(
                GuardedMarshaller.Of(method),
                [],
                (_, requests, replies, call) => guarded.RunAsync(
                    () => handler!(new GuardedReader<TRequest>(requests, call), new GuardedWriter<TResponse>(replies, call), call), call));
        }
    }
}
