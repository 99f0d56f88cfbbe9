namespace Regatta.Raft;

/// <summary>How one table's group behaves; the same for all groups of a node.</summary>
public sealed record GroupOptions
{
    /// <summary>
    /// An entry is closed at about this many bytes of commands. Smaller entries cost more syncs under load, larger ones make
    /// everybody wait for one large message. A single command above it goes alone.
    /// </summary>
    public int EntryBytes { get; init; } = 1 << 20;

    /// <summary>Most commands of one entry.</summary>
    public int EntryCommands { get; init; } = 4096;

    /// <summary>Callers that may wait for one table at a time, those in the log included; one more is told "overloaded" at once.</summary>
    public int MaxWaiting { get; init; } = 16_384;

    /// <summary>Bytes of commands of those callers.</summary>
    public long MaxWaitingBytes { get; init; } = 64L << 20;

    /// <summary>About this many bytes of entries are applied as one atomic write; readers see them together.</summary>
    public long ApplyBytes { get; init; } = 4L << 20;

    /// <summary>Shortest time without a leader before a member stands for election. A group of one member leads at once.</summary>
    public TimeSpan ElectionTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Longest such time; members draw from the range, so that they rarely stand at once.</summary>
    public TimeSpan MaxElectionTimeout { get; init; } = TimeSpan.FromSeconds(1.5);

    /// <summary>How often a leader says that it lives. Below half of <see cref="ElectionTimeout"/>.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>How often a leader that has nothing to send does all the same what it does with entries: should it be unable to, it falls silent an election time-out later. Heartbeats in between are cheaper.</summary>
    public TimeSpan RoundInterval => 5 * ElectionTimeout;

    /// <summary>Time that a question for a vote may take.</summary>
    public TimeSpan VoteTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Time that a message with entries may take, the member's sync included. A member that is slower than that for 4 MiB counts as not there. Below
    /// <see cref="StallTimeout"/>.
    /// </summary>
    public TimeSpan AppendTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a request waits for a leader to be there before it is refused.</summary>
    public TimeSpan LeaderTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Time after which a read barrier without an answer fails.</summary>
    public TimeSpan BarrierTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>A group that leads and does not commit what is synced for this long is broken: its callers are told, and its status says so.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A table is flushed when this many bytes of its log are not on disk as state: bounds the log and the replay after a crash.</summary>
    public long FlushBytes { get; init; } = 64L << 20;

    /// <summary>A table with anything unflushed is flushed after this time, else the log of a table that became idle could never be cut.</summary>
    public TimeSpan FlushInterval { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Bytes of flushed entries that stay in the log, for peers that lag. 0 suits a group of one member.</summary>
    public long RetainedLogBytes { get; init; }
}
