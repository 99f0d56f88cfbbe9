using System.Buffers;
using System.Globalization;
using System.Text;

namespace Regatta.Cli;

/// <summary>
/// Bytes as one line of readable text, and back. UTF-8 stays as it is; \n \t \r \\ and \xNN stand for what is not UTF-8, would break the line or
/// could steer a terminal. Every byte string has exactly one such text, which --escaped and transactions read back.
/// </summary>
internal static class EscapedText
{
    public static string Of(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length);
        Append(text, bytes, keepLines: false);
        return text.ToString();
    }

    /// <summary>As <see cref="Of"/>, with line feeds and tabs as they are and backslashes not doubled: for eyes, not to be read back.</summary>
    public static string ForTerminal(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length);
        Append(text, bytes, keepLines: true);
        return text.ToString();
    }

    /// <summary>At most <paramref name="length"/> characters, with "..." where something was left out.</summary>
    public static string Shortened(ReadOnlySpan<byte> bytes, int length)
    {
        // A character takes at most 4 bytes and makes at least 1 character of text.
        string text = Of(bytes[..Math.Min(bytes.Length, 4 * (length + 1))]);
        return text.Length <= length && bytes.Length <= 4 * (length + 1) ? text : CutBetweenRunes(text, length - 3) + "...";
    }

    /// <returns>False if a backslash is not followed by n, t, r, \, ", ' or xNN.</returns>
    public static bool TryParse(string text, out byte[] bytes, out string? error)
    {
        ArrayBufferWriter<byte> buffer = new(text.Length + 1);
        error = null;
        ReadOnlySpan<char> rest = text;
        while (!rest.IsEmpty && error is null)
        {
            int plain = rest.IndexOf('\\');
            ReadOnlySpan<char> run = plain < 0 ? rest : rest[..plain];
            Encoding.UTF8.GetBytes(run, buffer);
            rest = rest[run.Length..];
            if (!rest.IsEmpty)
                error = TakeEscape(ref rest, buffer);
        }
        bytes = buffer.WrittenSpan.ToArray();
        return error is null;
    }

    private static string? TakeEscape(ref ReadOnlySpan<char> rest, ArrayBufferWriter<byte> buffer)
    {
        if (rest.Length >= 4 && rest[1] == 'x' && byte.TryParse(rest[2..4], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
        {
            buffer.Write([value]);
            rest = rest[4..];
            return null;
        }
        int index = rest.Length < 2 ? -1 : "ntr\\\"'".IndexOf(rest[1], StringComparison.Ordinal);
        if (index < 0)
            return $"\"{rest[..Math.Min(rest.Length, 4)]}\" is not an escape; \\n \\t \\r \\\\ \\\" \\' and \\xNN are";
        buffer.Write([(byte)"\n\t\r\\\"'"[index]]);
        rest = rest[2..];
        return null;
    }

    private static void Append(StringBuilder text, ReadOnlySpan<byte> bytes, bool keepLines)
    {
        while (!bytes.IsEmpty)
        {
            bool valid = Rune.DecodeFromUtf8(bytes, out Rune rune, out int length) == OperationStatus.Done;
            if (!valid || (IsUnsafe(rune) && !(keepLines && rune.Value is '\n' or '\t')))
                AppendEscaped(text, bytes[..length]);
            else if (rune.Value == '\\' && !keepLines)
                text.Append(@"\\");
            else
                text.Append(rune.ToString());
            bytes = bytes[length..];
        }
    }

    private static void AppendEscaped(StringBuilder text, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
        {
            if (value == '\n')
                text.Append(@"\n");
            else if (value == '\t')
                text.Append(@"\t");
            else if (value == '\r')
                text.Append(@"\r");
            else
                text.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");
        }
    }

    // Control characters steer terminals; format characters (direction overrides and the like) make text look like what it is not.
    private static bool IsUnsafe(Rune rune) => Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

    private static string CutBetweenRunes(string text, int length) =>
        text.Length <= length ? text : text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];
}
