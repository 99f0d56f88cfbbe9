namespace Regatta.Raft;

/// <summary>
/// How many bytes of records a log had appended up to an index, kept in marks of 64 KiB: answers "how much is unflushed" and "how much
/// is in the log" within one mark, without a number per entry. Not thread-safe.
/// </summary>
internal sealed class LogSizes
{
    private const long MarkBytes = 64 << 10;

    private readonly List<(long Index, long Total)> _marks = [];
    private long _last;
    private long _start;
    private long _total;

    /// <summary>Bytes in the log.</summary>
    public long Bytes => _total - _start;

    public void Append(long index, int bytes)
    {
        _last = index;
        _total += bytes;
        if (_total - (_marks.Count > 0 ? _marks[^1].Total : _start) >= MarkBytes)
            _marks.Add((index, _total));
    }

    /// <summary>Bytes behind <paramref name="index"/>, at most one mark too many; 0 only if there are none.</summary>
    public long BytesAfter(long index)
    {
        if (index >= _last)
            return 0;
        int at = MarkAtOrBelow(index);
        return _total - (at < 0 ? _start : _marks[at].Total);
    }

    /// <summary>The largest index not above <paramref name="limit"/> that leaves at least <paramref name="bytes"/> between itself and <paramref name="limit"/>; 0 if none is known.</summary>
    public long IndexLeaving(long bytes, long limit)
    {
        if (bytes == 0)
            return limit;
        int at = MarkAtOrBelow(limit);
        long end = at < 0 ? _start : _marks[at].Total;
        while (at >= 0 && end - _marks[at].Total < bytes)
            at--;
        return at < 0 ? 0 : _marks[at].Index;
    }

    /// <summary>The log now starts behind <paramref name="index"/>.</summary>
    public void Cut(long index)
    {
        int at = MarkAtOrBelow(index);
        _start = index >= _last ? _total : at < 0 ? _start : _marks[at].Total;
        _marks.RemoveRange(0, at + 1);
    }

    /// <summary>The log now ends at <paramref name="last"/>: <paramref name="bytes"/> of records behind it are gone.</summary>
    public void Truncate(long last, long bytes)
    {
        int keep = MarkAtOrBelow(last) + 1;
        _marks.RemoveRange(keep, _marks.Count - keep);
        _total = Math.Max(_total - bytes, _marks.Count > 0 ? _marks[^1].Total : _start);
        _last = last;
    }

    /// <summary>The log is now empty and continues behind <paramref name="last"/>.</summary>
    public void Restart(long last)
    {
        _marks.Clear();
        _start = _total;
        _last = last;
    }

    private int MarkAtOrBelow(long index)
    {
        int low = 0;
        int high = _marks.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_marks[middle].Index <= index)
                low = middle + 1;
            else
                high = middle;
        }

        return low - 1;
    }
}
