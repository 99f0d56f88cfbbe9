namespace Regatta.Storage;

/// <summary>
/// A sync failed: what was written before may never come to the disk, also when a later sync of the same file succeeds. Nobody tries again; the node stops (see <see cref="DurableFile"/>).
/// </summary>
public sealed class SyncFailedException : IOException
{
    public SyncFailedException(string message)
        : base(message)
    {
    }
}
