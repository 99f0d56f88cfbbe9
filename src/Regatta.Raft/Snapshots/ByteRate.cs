namespace Regatta.Raft;

/// <summary>
/// So many bytes per second, with a burst: a token bucket. Who comes when it is empty goes into debt and waits until that is paid off, so all are
/// served in the order in which they came. Thread-safe.
/// </summary>
/// <param name="bytesPerSecond">0: unlimited.</param>
/// <param name="largest">Most bytes that are taken at once; the burst is this or one second's worth, whichever is larger.</param>
internal sealed class ByteRate(long bytesPerSecond, int largest, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly double _burst = Math.Max(bytesPerSecond, largest);
    private double _free = Math.Max(bytesPerSecond, largest);
    private long _filledAt = time.GetTimestamp();

    public async ValueTask TakeAsync(int bytes, CancellationToken cancellationToken)
    {
        if (bytesPerSecond == 0)
            return;
        TimeSpan wait = Take(bytes);
        if (wait <= TimeSpan.Zero)
            return;
        try
        {
            await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            lock (_gate)
                _free += bytes;
            throw;
        }
    }

    private TimeSpan Take(int bytes)
    {
        lock (_gate)
        {
            long now = time.GetTimestamp();
            _free = Math.Min(_burst, _free + (time.GetElapsedTime(_filledAt, now).TotalSeconds * bytesPerSecond));
            _filledAt = now;
            _free -= bytes;
            // Rounded up: who comes a tick too early would find the bucket in debt.
            return _free >= 0 ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Math.Ceiling(-_free * 1000 / bytesPerSecond));
        }
    }
}
