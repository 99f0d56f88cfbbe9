using DotNext.IO;
using DotNext.Net.Cluster.Consensus.Raft;
using Regatta.Core;

namespace Regatta.Raft;

/// <summary>
/// An entry proposed on this node, with those who wait for it. The log recognises the type, so that the applier gets at the waiters through
/// the entry itself and needs no table of what is in flight.
/// </summary>
/// <param name="term">The term in which this node believes to lead.</param>
/// <param name="payload">As built by <see cref="EntryWriter"/>.</param>
/// <param name="waiters">Where results go, and who is told when the entry is committed or lost.</param>
internal sealed class ProposedEntry(long term, ReadOnlyMemory<byte> payload, IProposalWaiters waiters) : IRaftLogEntry
{
    public long Term => term;

    public ReadOnlyMemory<byte> Payload => payload;

    public IProposalWaiters Waiters => waiters;

    /// <summary>The entry has an index: from here on its fate is the log's, and a failure means "unknown". False: nothing happened.</summary>
    public bool IsInLog { get; set; }

    bool IDataTransferObject.IsReusable => true;

    long? IDataTransferObject.Length => payload.Length;

    public bool TryGetMemory(out ReadOnlyMemory<byte> memory)
    {
        memory = payload;
        return true;
    }

    public ValueTask WriteToAsync<TWriter>(TWriter writer, CancellationToken token)
        where TWriter : IAsyncBinaryWriter => writer.Invoke(payload, token);
}

/// <summary>The callers behind one proposed entry. Each method may be called from any thread, without locks of the log held.</summary>
internal interface IProposalWaiters : ICommandResults
{
    /// <summary>The entry is committed and will be applied: the next one may be proposed.</summary>
    void Committed();

    /// <summary>The entry is applied and its results are visible to readers.</summary>
    void Applied();

    /// <summary>Another leader's entry took its place, or nobody can say what became of it.</summary>
    void Lost(string reason);
}
