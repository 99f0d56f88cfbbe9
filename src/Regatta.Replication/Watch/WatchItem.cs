using System.Collections.Immutable;
using Regatta.Core;

namespace Regatta.Replication;

/// <summary>What a watch brings next.</summary>
public abstract record WatchItem
{
    private WatchItem() { }

    /// <summary>Events in order, all of them of the watch's keys. Everything up to <paramref name="Revision"/> was sent with it.</summary>
    /// <param name="IsComplete">False: further events of <paramref name="Revision"/> follow.</param>
    /// <param name="Chain">The chain hash at the last revision that was sent whole; null: it is not known.</param>
    public sealed record Events(ImmutableArray<WatchEvent> Items, long Revision, bool IsComplete, ChainHash? Chain) : WatchItem;

    /// <summary>Everything up to <paramref name="Revision"/> was sent before.</summary>
    /// <param name="Chain">As of <see cref="Events"/>.</param>
    public sealed record Progress(long Revision, ChainHash? Chain) : WatchItem;

    /// <summary>The last one.</summary>
    public sealed record Ended(WatchEnd End) : WatchItem;
}

/// <summary>Why a watch ends by itself.</summary>
public abstract record WatchEnd
{
    private WatchEnd() { }

    /// <summary>Its next revision is not in the changelog any more.</summary>
    /// <param name="Oldest">The least revision that a watch can begin with.</param>
    public sealed record Compacted(long Oldest) : WatchEnd;

    /// <summary>The table's state on this node was replaced by a newer one, or the table was closed. Whether the watch can go on where it was, shows when it is made again.</summary>
    public sealed record Replaced : WatchEnd;

    /// <summary>What came before the watch is not what its client has had: the table's history was given up for another one.</summary>
    public sealed record OtherHistory : WatchEnd;

    /// <summary>The table could not be read.</summary>
    public sealed record Failed(Exception Cause) : WatchEnd;
}
