namespace Regatta.Raft;

/// <summary>
/// Whether the next entry waits a moment for callers who are about to come back. Of a few callers who write again as soon as they have their outcome, each would find another's entry on its way: an entry, and a
/// round of the whole site, for every single write. Waits as long as they have lately taken to come back, and not at all where they do not. Nobody waits who writes alone, nor where rounds are
/// short, nor where callers are so many that entries are large in any case. Not thread-safe: guarded by the lock of its <see cref="Batcher"/>.
/// </summary>
/// <param name="over">Called, without locks, when the time is up; late or in vain at times: ask <see cref="GiveUp"/>.</param>
internal sealed class Gathering(TimeProvider time, Action over)
{
    /// <summary>With more callers than this the fixed cost of an entry is small beside theirs.</summary>
    private const int MostCallers = 8;

    /// <summary>Entries without waiting, after it was in vain, before it is tried again.</summary>
    private const int Pause = 64;

    /// <summary>Shorter rounds cost less than a timer gives back.</summary>
    private static readonly TimeSpan ShortestRound = TimeSpan.FromMilliseconds(2);

    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(20);

    private ITimer? _timer;
    private TimeSpan _patience = LongestWait;
    private long _entryBegan;
    private long _waitBegan;
    private int _expected;
    private int _pause;

    public bool IsOn => _expected != 0;

    public void EntryBegins() => _entryBegan = time.GetTimestamp();

    /// <summary>An entry is committed.</summary>
    /// <param name="callers">Callers without an outcome: those of the entry, and those who wait for the next.</param>
    /// <param name="waiting">Those who wait for the next.</param>
    /// <returns>Whether the next entry is to wait, until <see cref="IsComplete"/> or the end of the time.</returns>
    public bool Begin(int callers, int waiting)
    {
        if (callers is < 2 or > MostCallers || waiting >= callers || time.GetElapsedTime(_entryBegan) < ShortestRound)
            return false;
        if (_patience < ShortestWait)
        {
            if (--_pause > 0)
                return false;
            _patience = LongestWait;
        }

        _expected = callers;
        _waitBegan = time.GetTimestamp();
        _timer ??= time.CreateTimer(static over => ((Action)over!)(), over, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(_patience, Timeout.InfiniteTimeSpan);
        return true;
    }

    /// <returns>Whether an entry was waiting for just these, and need not any longer.</returns>
    public bool IsComplete(int waiting)
    {
        if (!IsOn || waiting < _expected)
            return false;
        _expected = 0;
        TimeSpan twice = 2 * time.GetElapsedTime(_waitBegan);
        _patience = twice > LongestWait ? LongestWait : twice < _patience * 0.75 ? _patience * 0.75 : twice;
        return true;
    }

    /// <returns>Whether an entry was waiting.</returns>
    public bool GiveUp()
    {
        if (!IsOn)
            return false;
        _expected = 0;
        _patience /= 4;
        _pause = Pause;
        return true;
    }
}
