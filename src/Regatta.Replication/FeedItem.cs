using System.Collections.Immutable;
using Regatta.Core;

namespace Regatta.Replication;

/// <summary>What a follower is told next. The feed ends with anything but <see cref="Commands"/>.</summary>
public abstract record FeedItem
{
    private FeedItem() { }

    /// <summary>The next revisions, one command each, without a gap.</summary>
    public sealed record Commands(ImmutableArray<RevisedCommand> Items) : FeedItem;

    /// <summary>Everything that there is was read, and the follower does not want to wait for more.</summary>
    public sealed record End : FeedItem;

    /// <summary>The next revision is below the changelog.</summary>
    public sealed record UseSnapshot : FeedItem;

    /// <summary>The next revision lies ahead of the table: the follower has revisions that the leader site has not.</summary>
    public sealed record LeaderBehind : FeedItem;

    /// <summary>The follower's history is not this table's: another incarnation, or another chain hash at its revision.</summary>
    public sealed record Diverged : FeedItem;
}

/// <param name="Command">Does on the state before what the original did: no compares, no reads.</param>
public readonly record struct RevisedCommand(long Revision, TableCommand Command);
