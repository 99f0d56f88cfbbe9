using DotNext.IO;
using DotNext.IO.Log;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Regatta.Raft;

/// <summary>An entry of the log as it is handed around: its sealed record, when it is on disk, and the proposal that made it, if it was made here.</summary>
/// <param name="record">See <see cref="LogRecord"/>.</param>
/// <param name="durable">Completes when the record is synced.</param>
/// <param name="proposal">Who waits for the entry on this node; null for entries from elsewhere.</param>
internal readonly struct StoredEntry(byte[] record, Task durable, ProposedEntry? proposal) : IRaftLogEntry
{
    public byte[] Record => record;

    public Task Durable => durable;

    public ProposedEntry? Proposal => proposal;

    public long Term => LogRecord.Term(record);

    public bool IsConfiguration => LogRecord.IsConfiguration(record);

    public ReadOnlyMemory<byte> Payload => LogRecord.Payload(record);

    bool IDataTransferObject.IsReusable => true;

    long? IDataTransferObject.Length => Payload.Length;

    public bool TryGetMemory(out ReadOnlyMemory<byte> memory)
    {
        memory = Payload;
        return true;
    }

    public ValueTask WriteToAsync<TWriter>(TWriter writer, CancellationToken token)
        where TWriter : IAsyncBinaryWriter => writer.Invoke(Payload, token);
}

/// <summary>Stands for everything up to the cut, for a peer that needs entries which are gone. The state itself travels apart from the log.</summary>
/// <param name="term">Term of the entry at the cut.</param>
internal readonly struct CutEntry(long term) : IRaftLogEntry
{
    public long Term => term;

    bool ILogEntry.IsSnapshot => true;

    bool IDataTransferObject.IsReusable => true;

    long? IDataTransferObject.Length => 0;

    public bool TryGetMemory(out ReadOnlyMemory<byte> memory)
    {
        memory = default;
        return true;
    }

    public ValueTask WriteToAsync<TWriter>(TWriter writer, CancellationToken token)
        where TWriter : IAsyncBinaryWriter => default;
}
