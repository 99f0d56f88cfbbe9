using System.Globalization;
using Grpc.Core;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>What every answer to a read says of itself: how stale it is at most, and which site has given it.</summary>
internal sealed class StalenessTrailers(string site, TimeProvider time)
{
    /// <summary>In milliseconds, rounded up, when the answer was made; left out as long as nothing is known.</summary>
    public const string StalenessName = "regatta-staleness-ms";

    public const string SiteName = "regatta-site";

    // Nearly all answers are as recent as that, so nearly none makes a string.
    private static readonly Metadata.Entry[] Usual =
        [.. Enumerable.Range(0, 1024).Select(static milliseconds => new Metadata.Entry(StalenessName, milliseconds.ToString(CultureInfo.InvariantCulture)))];

    private readonly Metadata.Entry _site = new(SiteName, AsciiOf(site));

    /// <summary>How stale is at most what has everything that was committed before a moment; null: the moment is not known.</summary>
    public TimeSpan? Since(long moment) => moment == TableFreshness.Unknown ? null : time.GetElapsedTime(moment);

    public void Tell(ServerCallContext context, TimeSpan? staleness)
    {
        Metadata trailers = context.ResponseTrailers;
        if (staleness is { } known)
            trailers.Add(Staleness(known));
        trailers.Add(_site);
    }

    /// <summary>For an answer that another site has given.</summary>
    public void TellOf(Metadata theirs, ServerCallContext context, long moment)
    {
        context.ResponseTrailers.Add(Staleness(time.GetElapsedTime(moment)));
        if (theirs.Get(SiteName) is { } there)
            context.ResponseTrailers.Add(there);
    }

    private static Metadata.Entry Staleness(TimeSpan age)
    {
        long milliseconds = (age.Ticks + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond;
        return milliseconds >= 0 && milliseconds < Usual.Length
            ? Usual[milliseconds]
            : new Metadata.Entry(StalenessName, Math.Max(0, milliseconds).ToString(CultureInfo.InvariantCulture));
    }

    // As gRPC does it with its own messages: what is not printable ASCII cannot be in a trailer.
    private static string AsciiOf(string site) => site.All(static c => c is > ' ' and <= '~') ? site : Uri.EscapeDataString(site);
}
