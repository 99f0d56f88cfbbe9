using Regatta.Core;

namespace Regatta.Replication;

/// <summary>The leader site as a follower site sees it: the seam between the network and what pulls. Tests put a simulated one here. Thread-safe.</summary>
public interface ILeaderSite
{
    /// <summary>Asks for the history of the leader site, and for the names of its tables.</summary>
    /// <exception cref="LeaderSiteException">There is no answer.</exception>
    Task<LeaderTables> TablesAsync(CancellationToken cancellationToken);

    /// <summary>A table's changes from a position on. A leader site of ours keeps the stream open; one of the Go project ends it.</summary>
    /// <exception cref="LeaderSiteException">The stream could not be opened, or has broken.</exception>
    /// <exception cref="InvalidDataException">The leader site sent something that is no piece of a table's history.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    IAsyncEnumerable<PulledItem> PullAsync(string table, FeedPosition position, CancellationToken cancellationToken);
}

/// <param name="History">Null: the leader site is one of the Go project, which has none.</param>
/// <param name="Names">Of its tables.</param>
public sealed record LeaderTables(Guid? History, IReadOnlyList<string> Names)
{
    /// <summary>Under which name a leader site of ours serves its catalogue to follower sites; no table can have it.</summary>
    public const string Catalogue = "$catalogue";
}

/// <param name="LeaderRevision">The table's revision at the leader site when it was sent.</param>
/// <param name="Life">The life of the leader site's table; null: it does not say, because it is of the Go project or was not told of ours.</param>
public readonly record struct PulledItem(FeedItem Item, long LeaderRevision, Incarnation? Life);

/// <summary>Why the leader site gave no answer.</summary>
public enum LeaderFailure
{
    /// <summary>It is away, or does not serve just now: asked again, it may.</summary>
    Unreachable,

    /// <summary>It has no such table.</summary>
    NoTable,

    /// <summary>It refuses the request.</summary>
    Refused,

    /// <summary>A whole state is needed, and could not be had.</summary>
    NoState,
}

/// <summary>The leader site gave no answer. The message says why, in words for the operator, and names the address.</summary>
public sealed class LeaderSiteException(LeaderFailure failure, string message, Exception? cause = null) : Exception(message, cause)
{
    public LeaderFailure Failure { get; } = failure;
}
