using System.Collections.Immutable;
using Regatta.Core;

namespace Regatta.Replication;

/// <summary>What a follower is told next. The feed ends with anything but <see cref="Commands"/> and, if it follows, <see cref="End"/>.</summary>
public abstract record FeedItem
{
    private FeedItem() { }

    /// <summary>About how many bytes of changelog the leader site has behind this; 0: none, or it does not say.</summary>
    public long BytesBehind { get; init; }

    /// <summary>The next revisions, one command each, without a gap.</summary>
    public sealed record Commands(ImmutableArray<RevisedCommand> Items) : FeedItem;

    /// <summary>Everything that there is was read. A follower that waits for more is told so the first time, and now and then while there is nothing else.</summary>
    public sealed record End : FeedItem;

    /// <summary>The next revision is below the changelog.</summary>
    public sealed record UseSnapshot : FeedItem;

    /// <summary>The next revision lies ahead of the table: the follower has revisions that the leader site has not.</summary>
    public sealed record LeaderBehind : FeedItem;

    /// <summary>The follower's history is not this table's: another incarnation, or another chain hash at its revision.</summary>
    /// <param name="Theirs">The life of the leader site's table.</param>
    public sealed record Diverged(Incarnation Theirs) : FeedItem;
}

/// <param name="Command">From a leader site of ours it is what the original did to the state before: no compares, no reads.</param>
public readonly record struct RevisedCommand(long Revision, TableCommand Command);
