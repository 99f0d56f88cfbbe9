using System.Globalization;

namespace Regatta.Cli;

/// <summary>
/// Durations of client options: a number and ms, s, m or h. (The node's options have their own reader; loading the node for it would cost every
/// command its start-up time.)
/// </summary>
internal static class Duration
{
    private static readonly (string Suffix, double Seconds)[] Units = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)];

    /// <summary>More than 0 and at most a day.</summary>
    public static bool TryParse(string text, out TimeSpan value)
    {
        value = default;
        foreach ((string suffix, double seconds) in Units)
        {
            if (!text.EndsWith(suffix, StringComparison.Ordinal))
                continue;
            ReadOnlySpan<char> digits = text.AsSpan(0, text.Length - suffix.Length);
            if (!double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
                continue;
            if (number * seconds is < 0.001 or > 86_400)
                return false;
            value = TimeSpan.FromSeconds(number * seconds);
            return true;
        }
        return false;
    }
}
