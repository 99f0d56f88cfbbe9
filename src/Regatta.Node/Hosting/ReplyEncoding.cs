using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Regatta.Protocol.Compression;

namespace Regatta.Node;

/// <summary>Answers in the message encoding that the request came in, if its client says that it reads it.</summary>
internal static class ReplyEncoding
{
    // The library's own header for "encode this reply so"; it does not reach the client.
    private const string LibraryHeader = "grpc-internal-encoding-request";

    /// <summary>The encoding to answer in; null for none. Costs next to nothing for a request without encoding.</summary>
    public static string? InKind(ServerCallContext context)
    {
        IHeaderDictionary headers = context.GetHttpContext().Request.Headers;
        StringValues used = headers.GrpcEncoding;
        if (used.Count == 0)
            return null;
        string? known = MessageEncodings.All.FirstOrDefault(encoding => encoding.EncodingName == used[0])?.EncodingName;
        return known is not null && Accepts(headers.GrpcAcceptEncoding, known) ? known : null;
    }

    /// <summary>To be called before the first message is written.</summary>
    public static Task UseAsync(string encoding, ServerCallContext context) =>
        context.WriteResponseHeadersAsync(new Metadata { { LibraryHeader, encoding } });

    private static bool Accepts(StringValues accepted, string encoding) => accepted
        .SelectMany(list => list?.Split(',', StringSplitOptions.TrimEntries) ?? [])
        .Contains(encoding, StringComparer.Ordinal);
}
