namespace Regatta.Raft;

/// <summary>
/// Whether there is room on the disk for more writes. Asked by a timer, not by every write: the low-water mark must be larger than
/// what a node writes within one period, and it leaves room to flush and compact. Thread-safe.
/// </summary>
/// <param name="lowWater">Writes stop below this many free bytes, and go on with a tenth more than that: at the mark they must not flap.</param>
/// <param name="available">Free bytes.</param>
internal sealed class DiskRoom(long lowWater, Func<long> available)
{
    private volatile bool _isLow;

    public bool IsLow => _isLow;

    public ProposalOutcome Refusal => ProposalOutcome.Failed(
        GroupFailure.DiskFull, $"Less than {lowWater >> 20} MiB are free on the node's disk; nothing happened, writes resume by themselves when there is room.");

    /// <returns>True if the answer has changed.</returns>
    public bool Measure()
    {
        long free = available();
        bool isLow = free < lowWater || (_isLow && free < lowWater + lowWater / 10);
        bool changed = isLow != _isLow;
        _isLow = isLow;
        return changed;
    }
}
