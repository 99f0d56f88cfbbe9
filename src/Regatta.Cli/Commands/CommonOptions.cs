using System.CommandLine;
using Regatta.Client;

namespace Regatta.Cli;

/// <summary>Options that several commands share, and what they make.</summary>
internal sealed class CommonOptions(Surroundings surroundings)
{
    public static readonly IReadOnlyList<(string Variable, string Meaning)> Variables =
    [
        ("REGATTA_ENDPOINTS", "default of --endpoints"),
        ("REGATTA_TABLE", "default of --table"),
        ("REGATTA_TIMEOUT", "default of --timeout"),
        ("REGATTA_TOKEN", "default of --token"),
        ("REGATTA_CONFIG", "default of --config (`regatta leader`)"),
        ("NO_COLOR", "when set: no colours in the progress bar. There are none elsewhere"),
    ];

    private static readonly string[] Formats = ["table", "json", "jsonl", "simple"];

    public Option<string> Endpoints { get; } = new("--endpoints")
    {
        Description = "Nodes of one site, HOST:PORT separated by commas. Reads move on to the next when one is unavailable; writes only if nothing was sent.",
        HelpName = "HOST:PORT,...",
        Recursive = true,
        DefaultValueFactory = _ => Variable(surroundings, "REGATTA_ENDPOINTS", "127.0.0.1:8443"),
    };

    public Option<string> Table { get; } = new("--table", "-t")
    {
        Description = "The table to work on.",
        HelpName = "NAME",
        Recursive = true,
        DefaultValueFactory = _ => Variable(surroundings, "REGATTA_TABLE", "default"),
    };

    public Option<string> Timeout { get; } = new("--timeout")
    {
        Description = "How long a call may take, and how long each part of a long answer may take to come: 500ms, 5s, 1m.",
        HelpName = "DURATION",
        Recursive = true,
        DefaultValueFactory = _ => Variable(surroundings, "REGATTA_TIMEOUT", "5s"),
    };

    public Option<string> Token { get; } = new("--token")
    {
        Description = "The token that the node asks for (its option tables.token). Better given as REGATTA_TOKEN: other users can see command lines.",
        HelpName = "TOKEN",
        Recursive = true,
        DefaultValueFactory = _ => Variable(surroundings, "REGATTA_TOKEN", ""),
    };

    public Option<string?> Output { get; } = MakeOutput();

    /// <summary>For the commands that make one call.</summary>
    public Option<string?> Session { get; } = new("--session")
    {
        Description = "See everything that commands with this file have seen or written before, at whichever node of whichever site; the file is made if it is not there. One command at a time.",
        HelpName = "FILE",
    };

    public void AddConnection(Command command)
    {
        command.Add(Endpoints);
        command.Add(Timeout);
        command.Add(Token);
    }

    /// <summary>A client for the parsed options.</summary>
    /// <exception cref="CommandException">An option's value is wrong.</exception>
    /// <param name="forwardReads">As in <see cref="ClientOptions"/>.</param>
    /// <param name="answered">As in <see cref="ClientOptions"/>.</param>
    public RegattaClient Connect(ParseResult parsed, bool forwardReads = false, Action<Provenance>? answered = null)
    {
        List<Endpoint> endpoints = [];
        foreach (string text in parsed.GetValue(Endpoints)!.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!Endpoint.TryParse(text, out Endpoint? endpoint, out string? error))
                throw CommandException.Usage("--endpoints: " + error);
            endpoints.Add(endpoint);
        }
        if (endpoints.Count == 0)
            throw CommandException.Usage("--endpoints names no endpoint", "write HOST:PORT,HOST:PORT...");
        if (!Duration.TryParse(parsed.GetValue(Timeout)!, out TimeSpan timeout))
            throw CommandException.Usage($"--timeout: \"{parsed.GetValue(Timeout)}\" is not a duration", "write 500ms, 5s or 1m");
        return new RegattaClient(new ClientOptions
        {
            Endpoints = endpoints,
            Timeout = timeout,
            Token = parsed.GetValue(Token) ?? "",
            Session = parsed.GetValue(Session) is { } file ? SessionFile.Open(file) : null,
            ForwardReads = forwardReads,
            Answered = answered,
            Clock = surroundings.Clock,
        });
    }

    public OutputFormat Format(ParseResult parsed, OutputFormat otherwise) => parsed.GetValue(Output) switch
    {
        "table" => OutputFormat.Table,
        "json" => OutputFormat.Json,
        "jsonl" => OutputFormat.JsonLines,
        "simple" => OutputFormat.Simple,
        _ => otherwise,
    };

    private static Option<string?> MakeOutput()
    {
        Option<string?> option = new("--output", "-o")
        {
            Description = "How to print: table (for eyes), json (one document), jsonl (one object per line) or simple (plain lines, tabs between fields).",
            HelpName = "table|json|jsonl|simple",
            Recursive = true,
        };
        option.CompletionSources.Add(Formats);
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } text && !Formats.Contains(text))
                result.AddError($"--output must be {string.Join(", ", Formats[..^1])} or {Formats[^1]}, not {text}");
        });
        return option;
    }

    private static string Variable(Surroundings surroundings, string name, string otherwise) =>
        surroundings.Environment.TryGetValue(name, out string? value) && value.Length > 0 ? value : otherwise;
}
