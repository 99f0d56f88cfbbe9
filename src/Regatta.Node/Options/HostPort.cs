using System.Globalization;

namespace Regatta.Node;

/// <summary>HOST:PORT, as nodes address each other.</summary>
internal static class HostPort
{
    public static bool IsValid(string text)
    {
        int colon = text.LastIndexOf(':');
        return colon > 0
            && Uri.CheckHostName(text[..colon].Trim('[', ']')) != UriHostNameType.Unknown
            && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port)
            && port is >= 0 and <= 65535;
    }
}
