using Regatta.Core;

namespace Regatta.Replication;

/// <summary>What keeps a table from following the leader site, and the way past it that an operator may order.</summary>
public sealed partial class TablePuller
{
    /// <summary>The revision up to which the leader site's table had other changes when it was asked last; 0: they were the same, or it was not asked.</summary>
    private long _forkedAt;

    /// <summary>The revision at which the table may be exchanged for the other history's; 0: it may not.</summary>
    private long _adopts;

    /// <summary>
    /// Lets the leader site's state take the place of the table's, though their changes differ: once, and only if the table still is where it is now. Void when the table follows again, or the leader
    /// site is set back further; a puller on another node, or started anew, knows nothing of it.
    /// </summary>
    /// <returns>Null: it will be tried until it is done. Else why there is nothing of that kind to do.</returns>
    public string? Adopt()
    {
        long revision = group.Reader.Revision;
        if (revision == 0 || Volatile.Read(ref _forkedAt) != revision)
        {
            return _standing.State == PullState.Fenced
                ? "the table of the leader site is not of the same life, and a site has the tables of one history; for another leader site the nodes need empty data directories"
                : "the table is not fenced: there is nothing to adopt";
        }

        Volatile.Write(ref _adopts, revision);
        return null;
    }

    /// <summary>Whether an operator has ordered to go past it.</summary>
    private bool IsOrdered(Obstacle obstacle, long revision)
    {
        if (obstacle.IsFork)
            Volatile.Write(ref _forkedAt, revision);
        else if (obstacle.State == PullState.LeaderBehind)
            Volatile.Write(ref _adopts, 0);
        return obstacle.IsFork && revision == Volatile.Read(ref _adopts);
    }

    private void Agree()
    {
        Volatile.Write(ref _forkedAt, 0);
        Volatile.Write(ref _adopts, 0);
    }

    /// <summary>Why an item ends the stream; null: it does not.</summary>
    private Obstacle? Met(PulledItem item, long revision) => item.Item switch
    {
        _ when !comparesHistory && item.Life is { } other => new Obstacle(
            PullState.Fenced,
            $"fenced: the leader site there has the history {other.History:N}, so it is not one of the Go project, and this site has followed one that is"),
        FeedItem.Diverged { Theirs: var theirs } => Difference(theirs, revision),
        _ when comparesHistory && item.Life is null =>
            new Obstacle(PullState.Fenced, "fenced: the leader site does not say which history its table has, as one of the Go project does not, and this site's has one"),
        _ when comparesHistory && item.Life is { } life && life != incarnation => Difference(life, revision),
        FeedItem.UseSnapshot when revision > 0 && revision == Volatile.Read(ref _forkedAt) => new Obstacle(
            PullState.Snapshot,
            $"the leader site had other changes than here up to revision {revision}, and has dropped those by which histories can be compared; its whole state takes the place of what is here"),
        FeedItem.UseSnapshot => new Obstacle(
            PullState.Snapshot,
            $"the leader site has the changes from revision {revision + 1} on no longer; " + (states is null ? "and this site cannot fetch a whole state from it" : "fetching a whole state")),
        FeedItem.LeaderBehind => new Obstacle(
            PullState.LeaderBehind,
            $"this site has revision {revision} and the leader site {item.LeaderRevision}: it was set back, or another leader site answers; waiting until it has that revision"),
        _ => null,
    };

    private Obstacle Difference(Incarnation theirs, long revision)
    {
        const string Fenced = "fenced: the leader site's table is not the one that this site has followed; ";
        if (theirs.History != incarnation.History)
        {
            return new Obstacle(
                PullState.Fenced,
                $"{Fenced}its history is {theirs.History:N}, and here {incarnation.History:N}: it is another leader site, or one that was founded anew");
        }

        if (theirs.Number > incarnation.Number)
            return new Obstacle(PullState.CatchingUp, "the leader site has deleted the table and made another one of its name; waiting for the news in its catalogue");
        return theirs.Number < incarnation.Number
            ? new Obstacle(PullState.Fenced, $"{Fenced}its life {theirs.Number} is earlier than {incarnation.Number}, which is here: it was set back to an older state")
            : new Obstacle(
                PullState.Fenced,
                $"{Fenced}its changes up to revision {revision} are others than those here: it was set back to an older state and has written on",
                IsFork: true);
    }

    /// <summary>Why a stream is left.</summary>
    /// <param name="IsFork">It is the same life of the table, with other changes.</param>
    private readonly record struct Obstacle(PullState State, string Reason, bool IsFork = false);
}
