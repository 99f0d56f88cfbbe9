using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Regatta.Node;

/// <summary>Where a server listens: <c>http://IP:PORT</c>; the name localhost stands for 127.0.0.1, port 0 lets the system choose.</summary>
/// <param name="Address">Address of the interface; 0.0.0.0 or [::] for all of them.</param>
/// <param name="Port">0 to 65535.</param>
public sealed record ListenAddress(IPAddress Address, int Port)
{
    internal const string Allowed = "http://ADDRESS:PORT with a numeric address or localhost, such as http://127.0.0.1:8443";

    /// <summary>Only programs of this machine can connect.</summary>
    public bool IsLoopback => IPAddress.IsLoopback(Address);

    public IPEndPoint EndPoint => new(Address, Port);

    public override string ToString() => "http://" + EndPoint;

    /// <param name="text">The address as the operator wrote it.</param>
    /// <param name="address">The address, if it is one.</param>
    /// <param name="error">What is wrong otherwise: a sentence without subject, such as "must be ...".</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out ListenAddress? address, [NotNullWhen(false)] out string? error)
    {
        address = null;
        error = null;
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) || uri.PathAndQuery != "/" || uri.UserInfo.Length > 0)
            error = "must be " + Allowed;
        else if (uri.Scheme is "https" or "unixs")
            error = "asks for TLS, which this version cannot do yet; use http:// on a loopback address or a private network";
        else if (uri.Scheme != "http")
            error = "must be " + Allowed;
        else if (uri.Host == "localhost")
            address = new ListenAddress(IPAddress.Loopback, uri.Port);
        else if (IPAddress.TryParse(uri.Host.Trim('[', ']'), out IPAddress? ip))
            address = new ListenAddress(ip, uri.Port);
        else
            error = "must be " + Allowed;
        return address is not null;
    }
}
