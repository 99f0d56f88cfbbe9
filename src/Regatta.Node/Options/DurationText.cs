using System.Globalization;
using System.Text;

namespace Regatta.Node;

/// <summary>Durations in the notation of Go, which the options of the Go project use: 100ms, 5s, 1m30s, 12h; d for days besides.</summary>
internal static class DurationText
{
    private static readonly (string Suffix, long Ticks)[] Units =
    [
        ("d", TimeSpan.TicksPerDay), ("h", TimeSpan.TicksPerHour), ("ms", TimeSpan.TicksPerMillisecond), ("m", TimeSpan.TicksPerMinute),
        ("s", TimeSpan.TicksPerSecond),
    ];

    public static bool TryParse(string text, out TimeSpan value, out string? problem)
    {
        problem = "must be a duration, such as 100ms, 5s, 1m30s or 7d";
        value = default;
        ReadOnlySpan<char> rest = text.AsSpan().Trim();
        if (rest.IsEmpty)
            return false;
        long total = 0;
        while (!rest.IsEmpty)
        {
            if (!TryTake(ref rest, out long ticks) || ticks > long.MaxValue - total)
                return false;
            total += ticks;
        }
        value = TimeSpan.FromTicks(total);
        problem = null;
        return true;
    }

    /// <summary>The largest units first, none that is zero; "0s" for nothing at all.</summary>
    public static string Format(TimeSpan value)
    {
        StringBuilder text = new();
        long rest = value.Ticks;
        foreach ((string suffix, long ticks) in Units.OrderByDescending(unit => unit.Ticks))
        {
            if (rest / ticks > 0)
                text.Append(CultureInfo.InvariantCulture, $"{rest / ticks}{suffix}");
            rest %= ticks;
        }
        return text.Length > 0 ? text.ToString() : "0s";
    }

    private static bool TryTake(ref ReadOnlySpan<char> rest, out long ticks)
    {
        ticks = 0;
        int digits = rest.IndexOfAnyExceptInRange('0', '9');
        if (digits <= 0 || !long.TryParse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out long count))
            return false;
        foreach ((string suffix, long unit) in Units)
        {
            if (!rest[digits..].StartsWith(suffix, StringComparison.Ordinal))
                continue;
            if (count > long.MaxValue / unit)
                return false;
            ticks = count * unit;
            rest = rest[(digits + suffix.Length)..];
            return true;
        }
        return false;
    }
}
