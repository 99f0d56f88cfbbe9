using System.CommandLine;
using System.Text;
using Google.Protobuf;

namespace Regatta.Cli;

/// <summary>Keys and values from the command line.</summary>
internal static class BytesArgument
{
    public static Option<bool> MakeEscapedOption() => new("--escaped")
    {
        Description = "KEY, RANGE_END and VALUE are written as this program prints them: \\n \\t \\r \\\\ and \\xNN stand for bytes that are not plain text.",
    };

    /// <param name="text">The argument.</param>
    /// <param name="what">Its name, for the error.</param>
    /// <param name="escaped">Whether --escaped was given.</param>
    /// <exception cref="CommandException">It cannot be read.</exception>
    public static ByteString Parse(string text, string what, bool escaped)
    {
        if (escaped)
            return ParseEscaped(text, what);
        // .NET puts U+FFFD where an argument was not UTF-8: writing that would silently be another key.
        if (text.Contains('\uFFFD', StringComparison.Ordinal))
            throw CommandException.Usage($"{what} is not UTF-8", "write it with --escaped, bytes as \\xNN");
        return ByteString.CopyFrom(text, Encoding.UTF8);
    }

    private static ByteString ParseEscaped(string text, string what) => EscapedText.TryParse(text, out byte[] bytes, out string? error)
        ? ByteString.CopyFrom(bytes)
        : throw CommandException.Usage($"{what}: {error}");
}
