namespace Regatta.Raft;

/// <summary>Another node of the site, whether or not there is a connection to it at the moment.</summary>
/// <param name="changed">Told, on any thread and under no lock, after a connection came or went.</param>
internal sealed class PeerLink(long nodeId, Action<PeerLink> changed) : IPeer
{
    private readonly Lock _gate = new();
    private PeerConnection? _connection;

    public long NodeId => nodeId;

    public bool IsConnected => Volatile.Read(ref _connection) is not null;

    public TimeSpan Silence => Volatile.Read(ref _connection)?.Silence ?? TimeSpan.MaxValue;

    /// <summary>What the other node said of itself when the present connection was made; null without one.</summary>
    public Hello? Peer => Volatile.Read(ref _connection)?.Peer;

    public Task<ReadOnlyMemory<byte>> CallAsync(long group, PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        Volatile.Read(ref _connection) is { } connection
            ? connection.Outbox.CallAsync(group, method, request, cancellationToken)
            : Outbox.Unavailable(nodeId, "there is no connection to it");

    /// <summary>The newer connection wins: the other side would not have dialled if it thought that the old one stands.</summary>
    public void Attach(PeerConnection connection)
    {
        PeerConnection? old;
        lock (_gate)
            old = Interlocked.Exchange(ref _connection, connection);
        old?.Close("a newer connection with the same node takes its place");
        changed(this);
    }

    public void Detach(PeerConnection connection)
    {
        lock (_gate)
        {
            if (_connection != connection)
                return;
            _connection = null;
        }

        changed(this);
    }
}
