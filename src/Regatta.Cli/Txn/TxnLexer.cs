using System.Text;

namespace Regatta.Cli;

/// <summary>
/// Cuts a line into words. "..." understands the escapes of <see cref="EscapedText"/>, '...' is taken as it is, both may hold anything but a line
/// break.
/// </summary>
internal static class TxnLexer
{
    private const string CompareSigns = "(),=!<>";

    /// <param name="line">One line.</param>
    /// <param name="withSigns">In compares ( ) , = == != &lt; &gt; are words of their own; elsewhere only blanks separate words.</param>
    /// <exception cref="FormatException">With a sentence that says what is wrong.</exception>
    public static List<TxnWord> Words(string line, bool withSigns)
    {
        List<TxnWord> words = [];
        int at = 0;
        while (at < line.Length)
        {
            if (char.IsWhiteSpace(line[at]))
                at++;
            else if (line[at] is '"' or '\'')
                words.Add(Quoted(line, ref at));
            else if (withSigns && CompareSigns.Contains(line[at], StringComparison.Ordinal))
                words.Add(Sign(line, ref at));
            else
                words.Add(Bare(line, ref at, withSigns));
        }
        return words;
    }

    private static TxnWord Quoted(string line, ref int at)
    {
        char quote = line[at];
        int end = at + 1;
        while (end < line.Length && line[end] != quote)
            end += quote == '"' && line[end] == '\\' ? 2 : 1;
        if (end >= line.Length)
            throw new FormatException($"the quote {quote} at column {at + 1} is not closed");
        string inner = line[(at + 1)..end];
        at = end + 1;
        if (at < line.Length && !char.IsWhiteSpace(line[at]) && !CompareSigns.Contains(line[at], StringComparison.Ordinal))
            throw new FormatException($"there is no blank behind the quote at column {end + 1}");
        if (quote == '\'')
            return new(Encoding.UTF8.GetBytes(inner), inner, true);
        return EscapedText.TryParse(inner, out byte[] bytes, out string? error) ? new(bytes, inner, true) : throw new FormatException(error);
    }

    private static TxnWord Sign(string line, ref int at)
    {
        int length = at + 1 < line.Length && line[at] is '=' or '!' && line[at + 1] == '=' ? 2 : 1;
        string sign = line.Substring(at, length);
        at += length;
        return new([], sign, false);
    }

    private static TxnWord Bare(string line, ref int at, bool withSigns)
    {
        int end = at;
        while (end < line.Length && !char.IsWhiteSpace(line[end]) && !(withSigns && CompareSigns.Contains(line[end], StringComparison.Ordinal)))
            end++;
        string text = line[at..end];
        at = end;
        return new(Encoding.UTF8.GetBytes(text), text, false);
    }
}
