namespace Regatta.Core;

/// <summary>
/// The keys a request speaks of: one key, all keys from one on, or a half-open interval. Keys compare bytewise, unsigned.
/// An inverted interval is empty.
/// </summary>
public readonly struct KeyRange
{
    private KeyRange(ReadOnlyMemory<byte> start, ReadOnlyMemory<byte> end, KeyRangeKind kind)
    {
        Start = start;
        End = end;
        Kind = kind;
    }

    public KeyRangeKind Kind { get; }

    /// <summary>The only key, or the first one (inclusive).</summary>
    public ReadOnlyMemory<byte> Start { get; }

    /// <summary>First key behind the range; meaningful for <see cref="KeyRangeKind.Interval"/> only.</summary>
    public ReadOnlyMemory<byte> End { get; }

    public bool IsSingle => Kind == KeyRangeKind.Single;

    /// <summary>No key can lie in it: an interval that ends where it starts, or before.</summary>
    public bool IsEmpty => Kind == KeyRangeKind.Interval && Start.Span.SequenceCompareTo(End.Span) >= 0;

    public static KeyRange Single(ReadOnlyMemory<byte> key) => new(key, default, KeyRangeKind.Single);

    public static KeyRange From(ReadOnlyMemory<byte> start) => new(start, default, KeyRangeKind.From);

    public static KeyRange Interval(ReadOnlyMemory<byte> start, ReadOnlyMemory<byte> end) => new(start, end, KeyRangeKind.Interval);

    /// <summary>The wire's encoding: no range end is one key, a single zero byte is "all keys from here on".</summary>
    public static KeyRange FromWire(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> rangeEnd) => rangeEnd.Length switch
    {
        0 => Single(key),
        1 when rangeEnd.Span[0] == 0 => From(key),
        _ => Interval(key, rangeEnd),
    };

    public bool Contains(ReadOnlySpan<byte> key) => Kind switch
    {
        KeyRangeKind.Single => key.SequenceEqual(Start.Span),
        KeyRangeKind.From => key.SequenceCompareTo(Start.Span) >= 0,
        _ => key.SequenceCompareTo(Start.Span) >= 0 && key.SequenceCompareTo(End.Span) < 0,
    };
}

public enum KeyRangeKind : byte
{
    Single = 0,
    From = 1,
    Interval = 2,
}
