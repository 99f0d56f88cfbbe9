namespace Regatta.Raft;

/// <summary>Why a node gives no snapshot now.</summary>
internal enum SnapshotRefusal
{
    /// <summary>It serves as many as it may.</summary>
    Busy = 0,

    /// <summary>What it has is less than is wanted.</summary>
    Behind = 1,

    /// <summary>What it gave was gone before it could be read, again and again.</summary>
    Gone = 2,
}

/// <summary>The other node gives no snapshot now: it may be asked again later, or another node be asked. Nothing of what was fetched is lost.</summary>
internal sealed class SnapshotUnavailableException(SnapshotRefusal reason, string message) : IOException(message)
{
    public SnapshotRefusal Reason => reason;
}
