namespace Regatta.Replication;

/// <summary>Waits between attempts: each twice the one before up to the longest, and of each up to half taken off at random, so that followers do not come back all at once. Not thread-safe.</summary>
internal sealed class Backoff(PullOptions options, Random random)
{
    private TimeSpan _next = options.FirstWait;

    public TimeSpan Next()
    {
        TimeSpan wait = _next * (1 - (random.NextDouble() / 2));
        _next = _next * 2 < options.LongestWait ? _next * 2 : options.LongestWait;
        return wait;
    }

    public void Reset() => _next = options.FirstWait;
}
