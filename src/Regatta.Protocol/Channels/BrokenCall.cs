using System.Net.Sockets;
using Grpc.Core;

namespace Regatta.Protocol.Channels;

/// <summary>Reads from what gRPC reports what became of a call. Pure and thread-safe.</summary>
public static class BrokenCall
{
    /// <summary>The request never left this process: trying another node is safe even for a write.</summary>
    public static bool NeverSent(RpcException e) =>
        Of(e) is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError };

    /// <summary>The connection broke, before or after the request was taken. (Early in its life that comes as INTERNAL from the library; its cause tells.)</summary>
    public static bool Broke(RpcException e) => Of(e) is HttpRequestException or IOException;

    /// <summary>What lies at the bottom of it, in a few words; null: the node answered.</summary>
    public static string? Cause(RpcException e) => Of(e) is not { } cause
        ? null
        : Innermost(cause) switch
        {
            SocketException { SocketErrorCode: SocketError.ConnectionRefused } => "connection refused",
            SocketException { SocketErrorCode: SocketError.TimedOut } => "no connection in time",
            SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain } => "unknown host",
            Exception other => other.Message,
        };

    private static Exception? Of(RpcException e)
    {
        ArgumentNullException.ThrowIfNull(e);
        return e.Status.DebugException;
    }

    private static Exception Innermost(Exception e)
    {
        while (e.InnerException is { } inner)
            e = inner;
        return e;
    }
}
