using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace Regatta.Node;

/// <summary>HOST:PORT, as nodes address each other; a numeric IPv6 address stands in brackets.</summary>
internal static class HostPort
{
    public static bool IsValid(string text) => TrySplit(text, out _, out _);

    /// <summary>A name says where to dial, not on which interface to listen.</summary>
    public static bool IsListenable(string text) => TrySplit(text, out string? host, out _) && (host == "localhost" || IPAddress.TryParse(host, out _));

    /// <summary>Only programs of this machine reach it, as far as can be told without asking for a name.</summary>
    public static bool IsLoopback(string host) => host == "localhost" || (IPAddress.TryParse(host, out IPAddress? ip) && IPAddress.IsLoopback(ip));

    /// <param name="host">Without brackets.</param>
    /// <param name="port">0 to 65535.</param>
    public static bool TrySplit(string text, [NotNullWhen(true)] out string? host, out int port)
    {
        int colon = text.LastIndexOf(':');
        host = colon > 0 ? Unbracketed(text[..colon]) : null;
        port = 0;
        return host is not null
            && Uri.CheckHostName(host) != UriHostNameType.Unknown
            && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port)
            && port is >= 0 and <= 65535;
    }

    // Without brackets nobody can tell where an IPv6 address ends and the port begins.
    private static string? Unbracketed(string host) => host switch
    {
        ['[', .. string inner, ']'] => inner.Contains(':', StringComparison.Ordinal) ? inner : null,
        _ => host.Contains(':', StringComparison.Ordinal) ? null : host,
    };
}
