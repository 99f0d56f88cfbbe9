namespace Regatta.Node;

/// <summary>
/// What the gRPC library takes for the service class of <typeparamref name="TService"/>. It has no methods of its own: they are bound by <see cref="EndpointMethods{TService}"/>,
/// so that each call goes through <see cref="CallGuard"/> without an interceptor's cost.
/// </summary>
internal sealed class GrpcEndpoint<TService>;
