namespace Regatta.Replication;

/// <summary>What became of a key at a revision.</summary>
/// <param name="Value">Empty for a key that was deleted.</param>
/// <param name="CreateRevision">As it stands after the change; 0: the key was deleted.</param>
/// <param name="Version">As it stands after the change; 0: the key was deleted.</param>
public readonly record struct WatchEvent(long Revision, ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Value, long CreateRevision, long Version)
{
    // What an event costs beyond its bytes.
    private const int Overhead = 64;

    public bool IsDelete => Version == 0;

    /// <summary>About what it takes in memory.</summary>
    internal int Bytes => Key.Length + Value.Length + Overhead;
}
