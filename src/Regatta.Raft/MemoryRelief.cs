using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// Keeps the unflushed writes of all tables within their bound by flushing the fullest table. RocksDB's own bound flushes whichever table writes next: with many tables that are written a little each, all of them
/// are flushed again and again with next to nothing in them.
/// </summary>
internal sealed class MemoryRelief(StorageEnvironment environment, Func<IEnumerable<TableGroup>> groups)
{
    /// <summary>A flush of less gives back nothing to speak of: what is taken then are the buffers that every table in use has at least.</summary>
    private const long LeastBytes = 128 << 10;

    /// <summary>To be called a few times a second.</summary>
    public async Task RunAsync()
    {
        while (environment.WriteBufferUsage > environment.Options.WriteBufferBytes)
        {
            TableGroup? fullest = groups().MaxBy(static group => group.UnflushedBytes);
            if (fullest is null || fullest.UnflushedBytes < LeastBytes)
                return;
            await fullest.FlushAsync().ConfigureAwait(false);
            if (fullest.IsBroken)
                return;
        }
    }
}
