namespace Regatta.Replication;

/// <summary>How a follower pulls.</summary>
public sealed record PullOptions
{
    /// <summary>About how many bytes of one table's commands may wait while a batch is on its way into the log; they go together, behind it.</summary>
    public long WindowBytes { get; init; } = 1 << 20;

    /// <summary>How long the first wait after a failure is; each further one doubles, with up to half of it taken off at random.</summary>
    public TimeSpan FirstWait { get; init; } = TimeSpan.FromMilliseconds(100);

    public TimeSpan LongestWait { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often a leader site is asked again that ends its streams, as that of the Go project does.</summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How often it is looked whether this node leads other groups than before.</summary>
    public TimeSpan LeadershipInterval { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>The most revisions that the leader site may leave out in one piece; they are filled with commands that change nothing.</summary>
    public int LargestGap { get; init; } = 100_000;
}
