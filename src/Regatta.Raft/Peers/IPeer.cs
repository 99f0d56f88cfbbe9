namespace Regatta.Raft;

/// <summary>
/// Another node of the site, as this one can call it. The seam below groups: production is <c>PeerNetwork</c>, tests put a network of their own here. All
/// members may be called from any thread.
/// </summary>
internal interface IPeer
{
    long NodeId { get; }

    /// <summary>A connection stands and both sides have accepted it.</summary>
    bool IsConnected { get; }

    /// <summary>How long ago anything was heard from it over that connection; <see cref="TimeSpan.MaxValue"/> without one.</summary>
    TimeSpan Silence { get; }

    /// <summary>
    /// Sends a request and waits for the reply. Calls of one group are sent in the order in which they were made, those of different groups are not
    /// ordered. Waits while the group has too much under way.
    /// </summary>
    /// <param name="request">Not changed until the task completes; the callee gets a copy.</param>
    /// <returns>The reply; the caller's own.</returns>
    /// <exception cref="PeerUnavailableException">There is no connection, or it broke.</exception>
    /// <exception cref="PeerCallException">The other node refused the call or failed in it; the message is its own.</exception>
    /// <exception cref="OperationCanceledException">The other node may have got the request, and its reply is thrown away.</exception>
    Task<ReadOnlyMemory<byte>> CallAsync(long group, PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken);
}

/// <summary>What serves the calls of other nodes. May be called on many threads at once; calls of one group are started in the order in which they were sent.</summary>
internal interface IPeerHandler
{
    /// <summary>An exception becomes a <see cref="PeerCallException"/> at the caller, with the same message.</summary>
    /// <param name="request">The callee's own.</param>
    ValueTask<ReadOnlyMemory<byte>> HandleAsync(long fromNode, long group, PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken);
}

/// <summary>Calls between the nodes of a site. Numbers are on the wire and never change.</summary>
internal enum PeerMethod : byte
{
    Append = 1,
    Vote = 2,
    PreVote = 3,
    InstallSnapshot = 4,
    Propose = 5,
    ReadIndex = 6,

    /// <summary>To the leader: hand the leadership to a node.</summary>
    Transfer = 7,

    /// <summary>From the leader: stand for election now.</summary>
    Campaign = 8,

    /// <summary>Group 0: what the node knows of the site, and its terms.</summary>
    Site = 16,

    /// <summary>Group 0: the site is founded.</summary>
    Found = 17,

    /// <summary>Group 0: <see cref="CommitNotices"/> of groups that the sender leads.</summary>
    Commits = 19,

    /// <summary>Group 0: between the layers above groups, which alone know what it says.</summary>
    Node = 18,

    /// <summary>Group 0: <see cref="Heartbeats"/> of groups that the sender leads.</summary>
    Beats = 20,

    SnapshotOpen = 24,
    SnapshotRead = 25,
    SnapshotClose = 26,

    /// <summary>A state that the sender has for the group, by the hash of its files, 16 bytes LE: have it, too. Answers 1 when it is here, 0 while it is on its way.</summary>
    Stage = 27,
}

/// <summary>No connection to the node, or it broke before the reply.</summary>
/// <param name="wasSent">The request had been handed to a connection: the other node may have acted on it.</param>
internal sealed class PeerUnavailableException(long nodeId, bool wasSent, string reason, Exception? cause = null)
    : IOException($"Node {nodeId} is not reachable: {reason}", cause)
{
    public bool WasSent => wasSent;
}

/// <summary>The other node answered that it cannot do what was asked.</summary>
internal sealed class PeerCallException(string message) : IOException(message);
