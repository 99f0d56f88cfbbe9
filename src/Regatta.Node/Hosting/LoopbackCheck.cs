using Microsoft.Extensions.Logging;

namespace Regatta.Node;

/// <summary>Says loudly when strangers could reach a port that has no TLS.</summary>
internal static partial class LoopbackCheck
{
    public static void Warn(string option, ListenAddress address, ILogger logger)
    {
        if (!address.IsLoopback)
            LogExposed(logger, option, address);
    }

    [LoggerMessage(LogLevel.Warning, "{Option} {Address} IS REACHABLE FROM OTHER MACHINES WITHOUT TLS: anybody on that network can read and write everything, "
        + "and tokens travel in clear. Listen on 127.0.0.1, or keep the network private.")]
    private static partial void LogExposed(ILogger logger, string option, ListenAddress address);
}
