using System.Security.Cryptography;
using System.Text;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>The token that calls must carry as <c>authorization: Bearer TOKEN</c>; empty: none is asked for.</summary>
internal sealed class BearerToken(string token)
{
    private const string Scheme = "bearer ";

    // Of equal length whatever the token, so that a comparison tells nothing by the time it takes.
    private readonly byte[]? _hash = token.Length > 0 ? Hash(token) : null;

    /// <exception cref="RpcException">UNAUTHENTICATED.</exception>
    public void ThrowUnlessCarriedBy(ServerCallContext context)
    {
        if (_hash is null)
            return;
        string? header = context.RequestHeaders.GetValue("authorization");
        if (header is null || !header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            throw new RpcException(new Status(StatusCode.Unauthenticated, "Request unauthenticated with bearer"));
        if (!CryptographicOperations.FixedTimeEquals(_hash, Hash(header[Scheme.Length..])))
            throw new RpcException(new Status(StatusCode.Unauthenticated, "Invalid token"));
    }

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}
