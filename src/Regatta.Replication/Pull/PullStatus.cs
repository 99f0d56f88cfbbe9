namespace Regatta.Replication;

/// <summary>What a follower's table is doing.</summary>
public enum PullState
{
    /// <summary>It has everything that the leader site told of, and the stream is open.</summary>
    Following,

    /// <summary>It is behind and gets on.</summary>
    CatchingUp,

    /// <summary>The next revision is below the leader site's changelog: a whole state is needed, and fetched.</summary>
    Snapshot,

    /// <summary>The leader site does not have the follower's revision: it was set back, or another leader site answers.</summary>
    LeaderBehind,

    /// <summary>The leader site's table has another history. It serves reads and pulls nothing.</summary>
    Fenced,

    /// <summary>The leader site does not answer.</summary>
    LeaderUnreachable,

    /// <summary>The leader site answers, and does not give what was asked for.</summary>
    Refused,
}

/// <summary>A table's state as this node, which pulls for it, sees it. Immutable.</summary>
/// <param name="Reason">A sentence for the operator: why it does not follow, and what it waits for. Empty while it does.</param>
/// <param name="LeaderRevision">The table's revision at the leader site as far as this node has heard; 0: not yet.</param>
/// <param name="Behind">For how long the follower has known of a revision that it has not applied; zero: it knows of none.</param>
/// <param name="BehindBytes">About how many bytes of changes the leader site had that had not come, when it was heard from last.</param>
public sealed record PullStatus(PullState State, string Reason, long LeaderRevision, TimeSpan Behind, long BehindBytes = 0);
