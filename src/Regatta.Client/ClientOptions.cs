namespace Regatta.Client;

/// <summary>How a <see cref="RegattaClient"/> reaches its site. Immutable.</summary>
public sealed record ClientOptions
{
    /// <summary>Nodes of one site, at least one. The first is used as long as it answers, then the next.</summary>
    public IReadOnlyList<Endpoint> Endpoints { get; init; } = [new("127.0.0.1", 8443)];

    /// <summary>How long a call may take, all endpoints that are tried included; for a stream how long each message may take to come.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a connection may take to come about before the node counts as unreachable.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Bearer token for the Tables calls; empty for none.</summary>
    public string Token { get; init; } = "";

    /// <summary>The largest message that is accepted, in bytes. The replies to a transaction are the largest there are.</summary>
    public int MaxReceiveBytes { get; init; } = 256 << 20;

    /// <summary>The session that the KV calls belong to; null: none.</summary>
    public Session? Session { get; init; }

    /// <summary>Lets a node of a follower site that is behind the session or min_revision pass a read on to the leader site.</summary>
    public bool ForwardReads { get; init; }

    /// <summary>Is told of each answer to a read what it says of itself; called by whichever thread has got it.</summary>
    public Action<Provenance>? Answered { get; init; }

    /// <summary>Clock for deadlines.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
