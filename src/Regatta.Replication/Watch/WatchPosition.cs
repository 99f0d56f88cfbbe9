using Regatta.Core;

namespace Regatta.Replication;

/// <summary>How far a watch has got.</summary>
/// <param name="Next">The first revision that is still to come.</param>
/// <param name="Before">The chain hash at the revision before; null: it is not known.</param>
/// <param name="IsProven">False: the hash is the client's word, and nothing that was read here has confirmed it yet.</param>
internal readonly record struct WatchPosition(long Next, ChainHash? Before, bool IsProven);

/// <summary>What becomes of a watch that wants to be fed.</summary>
internal enum Joining
{
    /// <summary>It is fed.</summary>
    Joined,

    /// <summary>The shared reader is ahead of it: it must read on.</summary>
    NotYet,

    /// <summary>What it has had is of another history than what comes here.</summary>
    OtherHistory,
}
