using System.Globalization;
using System.Net;

namespace Regatta.Raft;

/// <summary>Addresses of peers as operators write them: HOST:PORT, a numeric IPv6 address in brackets.</summary>
internal static class PeerAddress
{
    /// <exception cref="ArgumentException">It is none.</exception>
    public static EndPoint ToDial(string address)
    {
        (string host, int port) = Split(address);
        return IPAddress.TryParse(host, out IPAddress? ip) ? new IPEndPoint(ip, port) : new DnsEndPoint(host, port);
    }

    /// <exception cref="ArgumentException">It is none, or a name: a name says where to dial, not which interface to listen on.</exception>
    public static IPEndPoint ToListen(string address)
    {
        (string host, int port) = Split(address);
        if (host == "localhost")
            return new IPEndPoint(IPAddress.Loopback, port);
        return IPAddress.TryParse(host, out IPAddress? ip)
            ? new IPEndPoint(ip, port)
            : throw new ArgumentException($"'{address}' must have a numeric address, or localhost", nameof(address));
    }

    private static (string Host, int Port) Split(string address)
    {
        int colon = address.LastIndexOf(':');
        string host = colon > 0 ? address[..colon].TrimStart('[').TrimEnd(']') : "";
        if (host.Length == 0 || !ushort.TryParse(address.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
            throw new ArgumentException($"'{address}' must be HOST:PORT", nameof(address));
        return (host, port);
    }
}
