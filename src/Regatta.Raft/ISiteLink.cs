using System.Collections.Immutable;

namespace Regatta.Raft;

/// <summary>The nodes of the site, for what the layers above groups have to tell each other. All members may be called from any thread.</summary>
public interface ISiteLink
{
    /// <summary>All nodes' ids, this one's included, ascending.</summary>
    ImmutableArray<long> Nodes { get; }

    /// <summary>The other nodes that cannot be reached now, each as a clause with its address and the reason; none in order.</summary>
    ImmutableArray<string> Unreachable { get; }

    /// <summary>Asks another node; what is asked is none of this layer's business. At most 15 MiB each way.</summary>
    /// <exception cref="IOException">The node is not reachable, or failed to answer; the message says which and why.</exception>
    Task<ReadOnlyMemory<byte>> AskAsync(long nodeId, ReadOnlyMemory<byte> question, CancellationToken cancellationToken);

    /// <summary>What answers the questions of other nodes; before it is set they are told that the node is starting.</summary>
    void AnswerBy(Func<ReadOnlyMemory<byte>, CancellationToken, Task<ReadOnlyMemory<byte>>> answer);
}

/// <summary>A site of one node: there is nobody to ask.</summary>
internal sealed class LoneSite(long self) : ISiteLink
{
    public ImmutableArray<long> Nodes { get; } = [self];

    public ImmutableArray<string> Unreachable => [];

    public Task<ReadOnlyMemory<byte>> AskAsync(long nodeId, ReadOnlyMemory<byte> question, CancellationToken cancellationToken) =>
        Task.FromException<ReadOnlyMemory<byte>>(new IOException($"Node {nodeId} is no other node of this site."));

    public void AnswerBy(Func<ReadOnlyMemory<byte>, CancellationToken, Task<ReadOnlyMemory<byte>>> answer)
    {
    }
}
