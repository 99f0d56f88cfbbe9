using System.Buffers;
using System.Text;

namespace Regatta.Node;

/// <summary>
/// What a table may be called: 1 to 128 characters of A-Z a-z 0-9 . _ -, the first one a letter or digit. The rule keeps names usable as
/// they are in metrics, file names, URLs and key prefixes, and keeps the catalogue's own separator (/) out of them.
/// </summary>
internal static class TableName
{
    public const int MaxLength = 128;

    public const string Rule = "1 to 128 characters of A-Z, a-z, 0-9, '.', '_' and '-', the first one a letter or a digit";

    private static readonly SearchValues<char> Allowed = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    /// <summary>What is wrong with the name, as a sentence for the client; null if nothing is.</summary>
    public static string? Problem(string name)
    {
        if (name.Length > MaxLength)
            return $"table name must be {Rule}; it has {name.Length} characters";
        int bad = name.AsSpan().IndexOfAnyExcept(Allowed);
        if (bad >= 0)
            return $"table name must be {Rule}; character {bad + 1} is {Show(name, bad)}";
        return name.Length == 0 || !char.IsAsciiLetterOrDigit(name[0]) ? $"table name must be {Rule}" : null;
    }

    // As a number where it could not be printed: the sentence goes to terminals and logs.
    private static string Show(string name, int index) =>
        name[index] is > ' ' and <= '~' ? $"'{name[index]}'" : Rune.TryGetRuneAt(name, index, out Rune rune) ? $"U+{rune.Value:X4}" : "not text";
}
