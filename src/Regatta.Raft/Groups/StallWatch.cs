namespace Regatta.Raft;

/// <summary>Sees that a leader no longer commits what is synced: its loop has died, and nothing else would tell. Not thread-safe.</summary>
internal sealed class StallWatch(EntryLog log, TimeSpan patience, TimeProvider time)
{
    private long _commit = -1;
    private long _since;

    public bool IsStalled()
    {
        long commit = log.Commit;
        bool isWaiting = log.Last > commit && log.DurableAt(commit + 1).IsCompletedSuccessfully;
        if (!isWaiting || commit != _commit)
        {
            _commit = isWaiting ? commit : -1;
            _since = time.GetTimestamp();
            return false;
        }

        return time.GetElapsedTime(_since) >= patience;
    }
}
