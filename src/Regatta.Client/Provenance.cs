using System.Globalization;
using Grpc.Core;

namespace Regatta.Client;

/// <summary>What the answer to a read says of itself.</summary>
/// <param name="Site">The name of the site that has answered.</param>
/// <param name="Staleness">When the answer was made it missed no write that had been acknowledged for longer than that; null: the node does not know.</param>
public sealed record Provenance(string Site, TimeSpan? Staleness)
{
    /// <summary>Null: it is no answer to a read, or not of a node that says so.</summary>
    internal static Provenance? Of(Metadata trailers) => trailers.GetValue("regatta-site") is { } site
        ? new Provenance(Uri.UnescapeDataString(site), long.TryParse(trailers.GetValue("regatta-staleness-ms"), CultureInfo.InvariantCulture, out long most) ? TimeSpan.FromMilliseconds(most) : null)
        : null;
}
