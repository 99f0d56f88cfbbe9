namespace Regatta.Raft;

/// <summary>
/// Whether the next entry waits a moment for callers who are about to come back. Of a few callers who write again as soon as they have their outcome, each would find another's entry on its way: an entry, and a
/// round of the whole site, for every single write. Waits as long as it mostly pays, and not where callers do not come back. Nobody waits who writes alone, nor where rounds are
/// short, nor where callers are so many that entries are large in any case. Not thread-safe: guarded by the lock of its <see cref="Batcher"/>.
/// </summary>
/// <param name="over">Called, without locks, when the time is up; late or in vain at times: ask <see cref="GiveUp"/>.</param>
internal sealed class Gathering(TimeProvider time, Action over)
{
    /// <summary>With more callers than this the fixed cost of an entry is small beside theirs.</summary>
    private const int MostCallers = 8;

    /// <summary>Entries without waiting, after it was in vain too often, before it is tried again.</summary>
    private const int Pause = 64;

    /// <summary>It goes on while it is in vain in less than a third of the cases.</summary>
    private const int MostCredit = 4;
    private const int CostInVain = 2;

    /// <summary>Shorter rounds cost less than a timer gives back.</summary>
    private static readonly TimeSpan ShortestRound = TimeSpan.FromMilliseconds(2);

    private static readonly TimeSpan Wait = TimeSpan.FromMilliseconds(20);

    private ITimer? _timer;
    private long _entryBegan;
    private int _expected;
    private int _credit = MostCredit;
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
        if (_pause > 0)
        {
            _pause--;
            return false;
        }

        _expected = callers;
        _timer ??= time.CreateTimer(static over => ((Action)over!)(), over, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(Wait, Timeout.InfiniteTimeSpan);
        return true;
    }

    /// <returns>Whether an entry was waiting for just these, and need not any longer.</returns>
    public bool IsComplete(int waiting)
    {
        if (!IsOn || waiting < _expected)
            return false;
        _expected = 0;
        _credit = Math.Min(_credit + 1, MostCredit);
        return true;
    }

    /// <returns>Whether an entry was waiting.</returns>
    public bool GiveUp()
    {
        if (!IsOn)
            return false;
        _expected = 0;
        _credit -= CostInVain;
        if (_credit < 0)
        {
            _credit = 0;
            _pause = Pause;
        }

        return true;
    }
}
