using System.Globalization;
using Google.Protobuf;
using Regatta.Protocol.Mvcc;

namespace Regatta.Cli;

/// <summary>
/// A compare: <c>TARGET(KEY [, RANGE_END]) SIGN VALUE</c> with value, version, create or mod as target; <c>exists(KEY)</c> and
/// <c>missing(KEY)</c> stand alone.
/// </summary>
internal static class TxnCompareLine
{
    private const string Form = "a compare is value|version|create|mod(KEY) =|!=|<|> VALUE, exists(KEY) or missing(KEY)";

    /// <exception cref="FormatException">With a sentence that says what is wrong.</exception>
    public static Compare Parse(string line)
    {
        List<TxnWord> words = TxnLexer.Words(line, withSigns: true);
        if (words.Count < 4 || !words[1].Is("("))
            throw new FormatException(Form);
        Compare compare = new() { Key = ByteString.CopyFrom(words[2].Bytes) };
        int close = 3;
        if (words[3].Is(",") && words.Count > 5)
        {
            compare.RangeEnd = ByteString.CopyFrom(words[4].Bytes);
            close = 5;
        }
        if (!words[close].Is(")"))
            throw new FormatException(Form);
        return Complete(compare, words[0].Text, words[(close + 1)..]);
    }

    private static Compare Complete(Compare compare, string target, List<TxnWord> rest)
    {
        if (target is "exists" or "missing")
        {
            if (rest.Count > 0)
                throw new FormatException($"nothing may follow {target}(KEY), but {rest[0]} does");
            if (target == "missing")
                SetTarget(compare, "version", new TxnWord([], "0", false));
            return compare;
        }
        if (rest.Count != 2)
            throw new FormatException(Form);
        compare.Result = rest[0].Text switch
        {
            "=" or "==" => Compare.Types.CompareResult.Equal,
            "!=" => Compare.Types.CompareResult.NotEqual,
            "<" => Compare.Types.CompareResult.Less,
            ">" => Compare.Types.CompareResult.Greater,
            _ => throw new FormatException($"{rest[0]} is not a comparison; = != < > are"),
        };
        SetTarget(compare, target, rest[1]);
        return compare;
    }

    // The short names are those of etcdctl.
    private static void SetTarget(Compare compare, string target, TxnWord value)
    {
        switch (target)
        {
            case "value" or "val":
                compare.Target = Compare.Types.CompareTarget.Value;
                compare.Value = ByteString.CopyFrom(value.Bytes);
                break;
            case "version" or "ver":
                compare.Target = Compare.Types.CompareTarget.Version;
                compare.Version = Number(value);
                break;
            case "create" or "c":
                compare.Target = Compare.Types.CompareTarget.Create;
                compare.CreateRevision = Number(value);
                break;
            case "mod" or "m":
                compare.Target = Compare.Types.CompareTarget.Mod;
                compare.ModRevision = Number(value);
                break;
            default:
                throw new FormatException($"{target} cannot be compared; value, version, create and mod can");
        }
    }

    private static long Number(TxnWord word) =>
        long.TryParse(word.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
            ? number
            : throw new FormatException($"{word} is not a whole number; versions and revisions are");
}
