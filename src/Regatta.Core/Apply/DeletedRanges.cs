namespace Regatta.Core;

/// <summary>
/// Ranges that a step has deleted from the stored state, as disjoint ranges in ascending order. A range delete costs the step's view one
/// of these, however many keys it removes.
/// </summary>
internal sealed class DeletedRanges
{
    /// <summary>Only the last one can be without an end.</summary>
    private readonly List<KeyRange> _ranges = [];

    public bool IsEmpty => _ranges.Count == 0;

    /// <summary>Whether a stored key is gone. What the step has put since then is not asked here.</summary>
    public bool Covers(ReadOnlySpan<byte> key)
    {
        int below = 0;
        int end = _ranges.Count;
        while (below < end)
        {
            int middle = (below + end) >>> 1;
            if (_ranges[middle].Start.Span.SequenceCompareTo(key) <= 0)
                below = middle + 1;
            else
                end = middle;
        }

        return below > 0 && _ranges[below - 1].Contains(key);
    }

    /// <summary>Adds a range that is neither a single key nor empty, joined with those that it meets.</summary>
    public void Add(KeyRange range)
    {
        int first = FirstNotBelow(range.Start.Span);
        int behind = first;
        while (behind < _ranges.Count && !EndsBelow(range, _ranges[behind].Start.Span))
            behind++;

        if (behind > first)
        {
            range = Join(range, _ranges[first], _ranges[behind - 1]);
            _ranges.RemoveRange(first, behind - first);
        }

        _ranges.Insert(first, range);
    }

    public void Clear() => _ranges.Clear();

    private int FirstNotBelow(ReadOnlySpan<byte> key)
    {
        int low = 0;
        int high = _ranges.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (EndsBelow(_ranges[middle], key))
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    /// <summary>Ends before the key with a gap between: ranges that only touch are joined.</summary>
    private static bool EndsBelow(KeyRange range, ReadOnlySpan<byte> key) =>
        range.Kind == KeyRangeKind.Interval && range.End.Span.SequenceCompareTo(key) < 0;

    private static KeyRange Join(KeyRange added, KeyRange lowest, KeyRange highest)
    {
        ReadOnlyMemory<byte> start = lowest.Start.Span.SequenceCompareTo(added.Start.Span) < 0 ? lowest.Start : added.Start;
        if (added.Kind == KeyRangeKind.From || highest.Kind == KeyRangeKind.From)
            return KeyRange.From(start);
        return KeyRange.Interval(start, highest.End.Span.SequenceCompareTo(added.End.Span) > 0 ? highest.End : added.End);
    }
}
