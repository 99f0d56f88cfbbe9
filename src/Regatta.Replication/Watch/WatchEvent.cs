using Regatta.Core;

namespace Regatta.Replication;

/// <summary>What became of a key at a revision.</summary>
/// <param name="In">The revision.</param>
/// <param name="Position">Which of the revision's changes it was, from 0; a range delete is one.</param>
/// <param name="Value">Empty for a key that was deleted.</param>
/// <param name="CreateRevision">As it stands after the change; 0: the key was deleted.</param>
/// <param name="Version">As it stands after the change; 0: the key was deleted.</param>
/// <param name="Replaced">Mod revision of what was there before; 0: nothing.</param>
public readonly record struct WatchEvent(
    WatchedRevision In, int Position, ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Value, long CreateRevision, long Version, long Replaced)
{
    // What an event costs beyond its bytes.
    private const int Overhead = 80;

    public long Revision => In.Number;

    public bool IsDelete => Version == 0;

    /// <summary>
    /// What was there before, if that was asked for; null: nothing was. Where the changelog does not have it any more, of its header only the mod revision is known, and its version is 0.
    /// </summary>
    public KeyRecord? Previous { get; init; }

    /// <summary>About what it takes in memory, the previous value aside.</summary>
    internal int Bytes => Key.Length + Value.Length + Overhead;
}
