using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Regatta.Client;

/// <summary>Where a node serves its clients.</summary>
/// <param name="Host">Name or numeric address; IPv6 addresses without brackets.</param>
/// <param name="Port">1 to 65535.</param>
public sealed record Endpoint(string Host, int Port)
{
    private const string Allowed = "HOST:PORT or http://HOST:PORT, such as 127.0.0.1:8443";

    internal Uri Url => new UriBuilder(Uri.UriSchemeHttp, Host, Port).Uri;

    public override string ToString() => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";

    /// <param name="text">HOST:PORT or http://HOST:PORT.</param>
    /// <param name="endpoint">The endpoint, if it is one.</param>
    /// <param name="error">Otherwise a sentence that quotes the text and says what is allowed.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out Endpoint? endpoint, [NotNullWhen(false)] out string? error)
    {
        endpoint = null;
        ReadOnlySpan<char> rest = text.AsSpan().Trim().TrimEnd('/');
        if (rest.StartsWith("https://", StringComparison.OrdinalIgnoreCase))
        {
            error = $"\"{text}\" asks for TLS, which this version cannot do yet; use http://";
            return false;
        }
        if (rest.StartsWith("http://", StringComparison.OrdinalIgnoreCase))
            rest = rest["http://".Length..];
        error = null;
        int colon = rest.LastIndexOf(':');
        if (colon <= 0 || !int.TryParse(rest[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int port) || port is 0 or > 65535
            || HostOf(rest[..colon]) is not { } host)
            error = $"\"{text}\" is not an endpoint; write {Allowed}";
        else
            endpoint = new Endpoint(host, port);
        return endpoint is not null;
    }

    private static string? HostOf(ReadOnlySpan<char> text)
    {
        string host = text.ToString();
        return Uri.CheckHostName(host) switch
        {
            UriHostNameType.Dns or UriHostNameType.IPv4 => host,
            // Without brackets the last group could be meant as the port.
            UriHostNameType.IPv6 when host[0] == '[' => host[1..^1],
            _ => null,
        };
    }
}
