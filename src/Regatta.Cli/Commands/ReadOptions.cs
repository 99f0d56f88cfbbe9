using System.CommandLine;
using Google.Protobuf;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

/// <summary>What <c>kv get</c> and <c>kv range</c> share.</summary>
internal sealed class ReadOptions
{
    private readonly Option<long> _limit = new("--limit") { Description = "At most so many keys; 0 for no limit.", HelpName = "N" };
    private readonly Option<bool> _keysOnly = new("--keys-only") { Description = "Leave the values out." };
    private readonly Option<bool> _countOnly = new("--count-only") { Description = "Print only the number of keys." };

    private readonly Option<bool> _linearizable = new("--linearizable")
    {
        Description = "See every write that was acknowledged before, by whichever node. Without it the node answers from its own state.",
    };

    private readonly Option<string> _consistency = new("--consistency")
    {
        Description = "How recent: local (this node's state), site (every write that is acknowledged in this site, as --linearizable) or global (every acknowledged write: a follower site asks the leader site).",
        HelpName = "local|site|global",
        DefaultValueFactory = _ => "local",
    };

    private readonly Option<bool> _forward = new("--forward")
    {
        Description = "A node of a follower site that is behind --session, --min-revision or --max-staleness passes the read on to the leader site, after a moment.",
    };

    private readonly Option<ulong> _minRevision = new("--min-revision")
    {
        Description = "Answer only when the node has reached this table revision; wait for it until the time-out.",
        HelpName = "REVISION",
    };

    private readonly Option<string?> _maxStaleness = new("--max-staleness")
    {
        Description = "Miss no write that is older than this, at whichever site: the node finds out anew when it does not know its state to be so recent.",
        HelpName = "DURATION",
    };

    private readonly Option<long>[] _bounds =
    [
        Bound("--min-mod-revision", "Only keys last written at this revision or later."),
        Bound("--max-mod-revision", "Only keys last written at this revision or before."),
        Bound("--min-create-revision", "Only keys created at this revision or later."),
        Bound("--max-create-revision", "Only keys created at this revision or before."),
    ];

    public void AddTo(Command command)
    {
        _consistency.AcceptOnlyFromAmong("local", "site", "global");
        foreach (Option option in (Option[])[_limit, _keysOnly, _countOnly, _linearizable, _consistency, _minRevision, _maxStaleness, _forward, .. _bounds])
            command.Add(option);
        command.Validators.Add(result =>
        {
            if (result.GetValue(_keysOnly) && result.GetValue(_countOnly))
                result.AddError("--keys-only and --count-only exclude each other");
            if (result.GetValue(_linearizable) && result.GetValue(_consistency) == "local" && result.GetResult(_consistency) is { Implicit: false })
                result.AddError("--linearizable and --consistency local exclude each other");
        });
    }

    public bool Forwards(ParseResult parsed) => parsed.GetValue(_forward);

    public KeyValueView View(ParseResult parsed) => new(parsed.GetValue(_keysOnly), parsed.GetValue(_countOnly));

    public RangeRequest Request(ParseResult parsed, string table, KeySelection keys) => new()
    {
        Table = ByteString.CopyFromUtf8(table),
        Key = keys.Key,
        RangeEnd = keys.RangeEnd,
        Limit = parsed.GetValue(_limit),
        KeysOnly = parsed.GetValue(_keysOnly),
        CountOnly = parsed.GetValue(_countOnly),
        Linearizable = parsed.GetValue(_linearizable),
        Consistency = ConsistencyOf(parsed.GetValue(_consistency)!),
        MinRevision = parsed.GetValue(_minRevision),
        MaxStalenessMs = Milliseconds(parsed.GetValue(_maxStaleness)),
        MinModRevision = parsed.GetValue(_bounds[0]),
        MaxModRevision = parsed.GetValue(_bounds[1]),
        MinCreateRevision = parsed.GetValue(_bounds[2]),
        MaxCreateRevision = parsed.GetValue(_bounds[3]),
    };

    private static ulong Milliseconds(string? text)
    {
        if (text is null)
            return 0;
        return Duration.TryParse(text, out TimeSpan most)
            ? (ulong)Math.Floor(most.TotalMilliseconds)
            : throw CommandException.Usage($"--max-staleness: \"{text}\" is not a duration from 1ms to 24h", "write 500ms, 5s or 1m");
    }

    private static Consistency ConsistencyOf(string text) => text switch
    {
        "site" => Consistency.Site,
        "global" => Consistency.Global,
        _ => Consistency.Local,
    };

    private static Option<long> Bound(string name, string description) => new(name) { Description = description, HelpName = "REVISION" };
}
