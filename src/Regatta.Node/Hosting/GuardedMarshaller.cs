using Google.Protobuf;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>A method whose requests, when their bytes are no such message, are answered as the client's mistake and not as a fault of the server.</summary>
internal static class GuardedMarshaller
{
    public static Method<TRequest, TResponse> Of<TRequest, TResponse>(Method<TRequest, TResponse> method)
        where TRequest : class
        where TResponse : class
    {
        Marshaller<TRequest> inner = method.RequestMarshaller;
        Marshaller<TRequest> guarded = new(inner.ContextualSerializer, context => Read(inner, context, method.FullName));
        return new Method<TRequest, TResponse>(method.Type, method.ServiceName, method.Name, guarded, method.ResponseMarshaller);
    }

    private static TRequest Read<TRequest>(Marshaller<TRequest> marshaller, DeserializationContext context, string method)
    {
        try
        {
            return marshaller.ContextualDeserializer(context);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"the request of {method} is not a valid message: {e.Message}"));
        }
    }
}
