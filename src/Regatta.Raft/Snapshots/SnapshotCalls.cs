using System.Runtime.CompilerServices;

namespace Regatta.Raft;

/// <summary>One group's snapshots on another node: the calls, with their deadlines. Thread-safe.</summary>
internal sealed class SnapshotCalls(IPeer peer, long group, SnapshotFetchOptions options, TimeProvider time)
{
    public async Task<SnapshotOpenReply> OpenAsync(SnapshotOpenRequest least, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> reply = await CallAsync(PeerMethod.SnapshotOpen, least.Encode(), cancellationToken).ConfigureAwait(false);
        return SnapshotOpenReply.Decode(reply.Span);
    }

    /// <summary>Reads the chunks in their order, a few ahead. The last one may be null: the snapshot is gone.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>?> ReadAsync(
        Guid id, IEnumerable<SnapshotChunk> chunks, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using IEnumerator<SnapshotChunk> next = chunks.GetEnumerator();
        Queue<Task<ReadOnlyMemory<byte>?>> reads = [];
        try
        {
            while (true)
            {
                while (reads.Count < options.ReadsInFlight && next.MoveNext())
                    reads.Enqueue(ReadAsync(id, next.Current, ending.Token));
                if (!reads.TryPeek(out Task<ReadOnlyMemory<byte>?>? first))
                    yield break;
                ReadOnlyMemory<byte>? bytes = await first.ConfigureAwait(false);
                _ = reads.Dequeue();
                yield return bytes;
                if (bytes is null)
                    yield break;
            }
        }
        finally
        {
            await ending.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(reads.Select(Task (read) => read)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async Task CloseAsync(Guid id, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> reply = await CallAsync(PeerMethod.SnapshotClose, new SnapshotCloseRequest(id).Encode(), cancellationToken).ConfigureAwait(false);
        SnapshotCloseRequest.DecodeReply(reply.Span);
    }

    private async Task<ReadOnlyMemory<byte>?> ReadAsync(Guid id, SnapshotChunk chunk, CancellationToken cancellationToken)
    {
        byte[] request = new SnapshotReadRequest(id, chunk.File, chunk.Offset, chunk.Count).Encode();
        for (int repeats = 0; ; repeats++)
        {
            ReadOnlyMemory<byte> reply = await CallAsync(PeerMethod.SnapshotRead, request, cancellationToken).ConfigureAwait(false);
            try
            {
                return SnapshotReadReply.Decode(reply, chunk.Count);
            }
            catch (InvalidDataException) when (repeats < options.MaxRepeats)
            {
                // Damaged on the way: asked for again.
            }
        }
    }

    private async Task<ReadOnlyMemory<byte>> CallAsync(PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = new(options.CallTimeout, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            return await peer.CallAsync(group, method, request, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"Node {peer.NodeId} did not answer {method} of group {group} within {options.CallTimeout.TotalSeconds} s.", e);
        }
    }
}

/// <summary>A piece of a file of a snapshot.</summary>
/// <param name="File">Its place in the manifest, from 0.</param>
internal readonly record struct SnapshotChunk(int File, long Offset, int Count);
