using System.CommandLine;
using Google.Protobuf;

namespace Regatta.Cli;

/// <summary>Which keys a command means: a key and a range end as the protocol has them.</summary>
internal readonly record struct KeySelection(ByteString Key, ByteString RangeEnd)
{
    private static readonly ByteString Zero = ByteString.CopyFrom(0);

    public static KeySelection All => new(Zero, Zero);

    public static KeySelection From(ByteString key) => new(key, Zero);

    /// <summary>All keys that begin with <paramref name="prefix"/>.</summary>
    public static KeySelection Prefix(ByteString prefix)
    {
        byte[] end = prefix.ToByteArray();
        int last = end.AsSpan().LastIndexOfAnyExcept((byte)0xff);
        if (last < 0)
            return prefix.IsEmpty ? All : From(prefix);
        end[last]++;
        return new(prefix, ByteString.CopyFrom(end, 0, last + 1));
    }

    /// <summary>The arguments KEY [RANGE_END], the second one turned into a prefix by --prefix.</summary>
    public static KeySelection Of(ParseResult parsed, Argument<string> key, Argument<string?> end, Option<bool> prefix, Option<bool> escaped)
    {
        bool isEscaped = parsed.GetValue(escaped);
        ByteString first = BytesArgument.Parse(parsed.GetValue(key)!, "KEY", isEscaped);
        if (first.IsEmpty)
            throw CommandException.Usage("KEY is empty", "to mean all keys, use `regatta kv range --all`");
        string? last = parsed.GetValue(end);
        if (last is not null && parsed.GetValue(prefix))
            throw CommandException.Usage("RANGE_END and --prefix exclude each other");
        if (parsed.GetValue(prefix))
            return Prefix(first);
        return new(first, last is null ? ByteString.Empty : RangeEndOf(last, isEscaped));
    }

    /// <exception cref="CommandException">It is empty: to the protocol that would mean one key instead of a range.</exception>
    public static ByteString RangeEndOf(string text, bool escaped)
    {
        ByteString end = BytesArgument.Parse(text, "RANGE_END", escaped);
        return !end.IsEmpty
            ? end
            : throw CommandException.Usage("RANGE_END is empty", "leave it out for one key; for all keys from KEY on use `regatta kv range --from KEY`");
    }
}
