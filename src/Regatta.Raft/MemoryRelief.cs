using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// Keeps the unflushed writes of all tables within their bound by flushing the table that gives back most for longest: bytes times their age, so that tables which are no longer written do not leave
/// a busy one next to nothing. RocksDB's own bound flushes whichever table writes next: with many tables that are written a little each, all of them
/// are flushed again and again with next to nothing in them.
/// </summary>
internal sealed class MemoryRelief(StorageEnvironment environment, Func<IEnumerable<TableGroup>> groups)
{
    /// <summary>A flush of less gives back nothing to speak of: what is taken then are the buffers that every table in use has at least.</summary>
    private const long LeastBytes = 128 << 10;

    private bool IsWithinBound => environment.WriteBufferUsage <= environment.Options.WriteBufferBytes;

    /// <summary>To be called a few times a second.</summary>
    public async Task RunAsync()
    {
        if (IsWithinBound)
            return;
        // Each once, whatever comes of it: there may be nothing to flush yet, or a node that stops flushes no more.
        foreach (TableGroup victim in groups().Where(static group => group.UnflushedBytes >= LeastBytes).OrderByDescending(static group => group.UnflushedBytes * (1 + group.UnflushedFor.TotalSeconds)))
        {
            await victim.FlushAsync().ConfigureAwait(false);
            if (IsWithinBound)
                return;
        }
    }
}
