namespace Regatta.Raft;

/// <summary>Asks a node of another site for the files of a table: the calls of <see cref="SnapshotCalls"/>, carried by whoever knows that site.</summary>
/// <param name="call">What is asked, a number of <see cref="PeerMethod"/>.</param>
/// <returns>The other node's reply.</returns>
public delegate Task<ReadOnlyMemory<byte>> FarCall(byte call, ReadOnlyMemory<byte> request, CancellationToken cancellationToken);

/// <summary>A node of another site, for what fetches snapshots.</summary>
internal sealed class FarPeer(FarCall call) : IPeer
{
    public long NodeId => 0;

    public bool IsConnected => true;

    public TimeSpan Silence => TimeSpan.Zero;

    public Task<ReadOnlyMemory<byte>> CallAsync(long group, PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        call((byte)method, request, cancellationToken);
}
