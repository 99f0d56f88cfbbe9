using System.Globalization;

namespace Regatta.Node;

/// <summary>Sizes as people write them: 4096, 64KiB, 4MiB, 1GiB. Units are powers of 1,024, whatever their case.</summary>
internal static class ByteSize
{
    private static readonly (string Suffix, int Shift)[] Units = [("KIB", 10), ("MIB", 20), ("GIB", 30), ("TIB", 40), ("B", 0)];

    public static bool TryParse(string text, out long value, out string? problem)
    {
        problem = "must be a size in bytes, such as 1048576, 64KiB, 4MiB or 1GiB";
        ReadOnlySpan<char> digits = text.AsSpan().Trim();
        int shift = 0;
        foreach ((string suffix, int unit) in Units)
        {
            if (!digits.EndsWith(suffix, StringComparison.OrdinalIgnoreCase))
                continue;
            digits = digits[..^suffix.Length].TrimEnd();
            shift = unit;
            break;
        }
        if (!long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out value) || value > long.MaxValue >> shift)
            return false;
        value <<= shift;
        problem = null;
        return true;
    }
}
