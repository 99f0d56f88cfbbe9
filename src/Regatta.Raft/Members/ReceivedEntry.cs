using DotNext.IO;
using DotNext.IO.Log;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Regatta.Raft;

/// <summary>An entry as a leader sent it.</summary>
/// <param name="record">A <see cref="LogRecord"/> without its checksum; the message's own bytes.</param>
internal readonly struct ReceivedEntry(ReadOnlyMemory<byte> record) : IRaftLogEntry
{
    public long Term => LogRecord.TermWithoutChecksum(record.Span);

    public bool IsConfiguration => LogRecord.IsConfigurationWithoutChecksum(record.Span);

    public ReadOnlyMemory<byte> Payload => record[LogRecord.BytesWithoutChecksum(0)..];

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

/// <summary>Entries of one message, in the form that DotNext takes them.</summary>
internal sealed class ReceivedEntries(ReceivedEntry[] entries) : ILogEntryProducer<ReceivedEntry>
{
    private int _next;

    public long RemainingCount => entries.Length - _next;

    public ReceivedEntry Current => entries[_next - 1];

    public ValueTask<bool> MoveNextAsync()
    {
        bool hasNext = _next < entries.Length;
        if (hasNext)
            _next++;
        return new ValueTask<bool>(hasNext);
    }

    public ValueTask DisposeAsync() => default;
}
