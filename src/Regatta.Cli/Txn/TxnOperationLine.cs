using System.Globalization;
using Google.Protobuf;
using Regatta.Protocol.Mvcc;

namespace Regatta.Cli;

/// <summary>
/// An operation: <c>put KEY VALUE [--prev-kv]</c>, <c>get KEY [RANGE_END] [--prefix] [--limit N] [--keys-only] [--count-only]</c> or
/// <c>del KEY [RANGE_END] [--prefix] [--prev-kv] [--count]</c>.
/// </summary>
internal static class TxnOperationLine
{
    /// <exception cref="FormatException">With a sentence that says what is wrong.</exception>
    public static RequestOp Parse(string line)
    {
        List<TxnWord> words = TxnLexer.Words(line, withSigns: false);
        string verb = words[0].Text;
        (List<TxnWord> operands, Dictionary<string, string> options) = Split(verb, words[1..]);
        return verb switch
        {
            "put" => Put(operands, options),
            "get" => Get(operands, options),
            "del" => Del(operands, options),
            _ => throw new FormatException($"{words[0]} is not an operation; put, get and del are"),
        };
    }

    private static RequestOp Put(List<TxnWord> operands, Dictionary<string, string> options) => operands.Count != 2
        ? throw new FormatException("put takes KEY VALUE; quote what has blanks")
        : new RequestOp
        {
            RequestPut = new() { Key = Bytes(operands[0]), Value = Bytes(operands[1]), PrevKv = options.ContainsKey("--prev-kv") },
        };

    private static RequestOp Get(List<TxnWord> operands, Dictionary<string, string> options)
    {
        KeySelection keys = Keys("get", operands, options);
        return new RequestOp
        {
            RequestRange = new()
            {
                Key = keys.Key,
                RangeEnd = keys.RangeEnd,
                Limit = options.TryGetValue("--limit", out string? limit) ? long.Parse(limit, NumberStyles.None, CultureInfo.InvariantCulture) : 0,
                KeysOnly = options.ContainsKey("--keys-only"),
                CountOnly = options.ContainsKey("--count-only"),
            },
        };
    }

    private static RequestOp Del(List<TxnWord> operands, Dictionary<string, string> options)
    {
        KeySelection keys = Keys("del", operands, options);
        return new RequestOp
        {
            RequestDeleteRange = new()
            {
                Key = keys.Key,
                RangeEnd = keys.RangeEnd,
                PrevKv = options.ContainsKey("--prev-kv"),
                Count = options.ContainsKey("--count"),
            },
        };
    }

    private static KeySelection Keys(string verb, List<TxnWord> operands, Dictionary<string, string> options)
    {
        bool prefix = options.ContainsKey("--prefix");
        if (operands.Count is 0 or > 2 || (operands.Count == 2 && prefix))
            throw new FormatException($"{verb} takes KEY, KEY RANGE_END or KEY --prefix");
        if (prefix)
            return KeySelection.Prefix(Bytes(operands[0]));
        return new(Bytes(operands[0]), operands.Count == 2 ? NotEmpty(Bytes(operands[1])) : ByteString.Empty);
    }

    private static (List<TxnWord> Operands, Dictionary<string, string> Options) Split(string verb, List<TxnWord> words)
    {
        string[] allowed = verb switch
        {
            "put" => ["--prev-kv"],
            "get" => ["--prefix", "--limit", "--keys-only", "--count-only"],
            _ => ["--prefix", "--prev-kv", "--count"],
        };
        List<TxnWord> operands = [];
        Dictionary<string, string> options = [];
        for (int i = 0; i < words.Count; i++)
        {
            if (!words[i].IsOption)
                operands.Add(words[i]);
            else if (!allowed.Contains(words[i].Text))
                throw new FormatException($"{verb} has no option {words[i]}; it has {string.Join(", ", allowed)} (quote it if it is a key or a value)");
            else if (!options.TryAdd(words[i].Text, words[i].Text == "--limit" ? Limit(words, ++i) : ""))
                throw new FormatException($"{words[i]} is given twice");
        }
        return (operands, options);
    }

    private static string Limit(List<TxnWord> words, int at) =>
        at < words.Count && long.TryParse(words[at].Text, NumberStyles.None, CultureInfo.InvariantCulture, out _)
            ? words[at].Text
            : throw new FormatException("--limit needs a whole number behind it");

    private static ByteString Bytes(TxnWord word) => ByteString.CopyFrom(word.Bytes);

    // To the protocol an empty end would mean one key.
    private static ByteString NotEmpty(ByteString end) => end.IsEmpty ? throw new FormatException("RANGE_END is empty; leave it out for one key") : end;
}
