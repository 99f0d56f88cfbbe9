using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;

namespace Regatta.Cli;

/// <summary>The command tree and how it is run.</summary>
internal static class CommandLine
{
    /// <returns>The process's exit code, see <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(string[] arguments, Surroundings surroundings, CancellationToken interrupted)
    {
        try
        {
            // No response files: in `kv put KEY @FILE` the @ is ours.
            ParseResult parsed = Tree(surroundings, NeedsNodeOptions(arguments)).Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
            if (parsed.Action is ParseErrorAction)
                return Refuse(arguments, parsed, surroundings);
            if (MistypedOption(parsed) is { } mistyped)
                return RefuseOption(mistyped, parsed, surroundings);
            using StreamWriter output = new(surroundings.Output, leaveOpen: true);
            InvocationConfiguration configuration = new()
            {
                EnableDefaultExceptionHandler = false,
                // Signals are ours: a node needs longer to stop than the library would give it.
                ProcessTerminationTimeout = null,
                Output = output,
                Error = surroundings.Error,
            };
            return await parsed.InvokeAsync(configuration, interrupted);
        }
        catch (Exception e)
        {
            return ErrorReport.Write(e, surroundings, interrupted);
        }
    }

    /// <param name="surroundings">What the commands act on.</param>
    /// <param name="withNodeOptions">
    /// Whether `leader` and `follower` need their options: making them loads the node, which costs other commands more than all else they do.
    /// </param>
    public static RootCommand Tree(Surroundings surroundings, bool withNodeOptions)
    {
        CommonOptions common = new(surroundings);
        return new RootCommand("Regatta, a geo-distributed key-value store: run a node, and work with its tables.")
        {
            DevCommand.Create(surroundings),
            withNodeOptions ? NodeCommand.Create(NodeCommand.Leader, surroundings) : NodeCommand.Bare(NodeCommand.Leader),
            withNodeOptions ? NodeCommand.Create(NodeCommand.Follower, surroundings) : NodeCommand.Bare(NodeCommand.Follower),
            KvCommands.Create(common, surroundings),
            TableCommands.Create(common, surroundings),
            ClusterCommands.Create(common, surroundings),
            SiteCommands.Create(common, surroundings),
            VersionCommand.Create(surroundings),
            CompletionCommand.Create(surroundings),
            DocsCommand.Create(surroundings),
        };
    }

    private static bool NeedsNodeOptions(string[] arguments) =>
        arguments.Length > 0 && (arguments[0] is NodeCommand.Leader or NodeCommand.Follower or "docs" || arguments[0].StartsWith("[suggest", StringComparison.Ordinal));

    private static int Refuse(string[] arguments, ParseResult parsed, Surroundings surroundings)
    {
        string path = Path(parsed.CommandResult);
        if (arguments.Length == 0)
            surroundings.Error.WriteLine("Usage: regatta COMMAND; `regatta --help` lists the commands");
        else
            ErrorReport.Write(surroundings.Error, Cause(parsed, path), $"see `{path} --help`");
        return ExitCode.Usage;
    }

    // The parser takes an option that it does not know for an argument: `kv del a --prefx` would delete a range that ends with "--prefx".
    private static string? MistypedOption(ParseResult parsed) => parsed.Tokens
        .TakeWhile(token => token.Type != TokenType.DoubleDash)
        .FirstOrDefault(token => token.Type == TokenType.Argument && token.Value is ['-', not (>= '0' and <= '9' or '.'), ..])?.Value;

    private static int RefuseOption(string word, ParseResult parsed, Surroundings surroundings)
    {
        string path = Path(parsed.CommandResult);
        string question = Nearest.Question(word, Options(parsed.CommandResult));
        ErrorReport.Write(
            surroundings.Error, $"`{path}` has no option {word}{question}", $"see `{path} --help`; if it is a key or a value, write -- before it");
        return ExitCode.Usage;
    }

    // A word that nobody knows is the cause of whatever is missing besides.
    private static string Cause(ParseResult parsed, string path)
    {
        if (parsed.UnmatchedTokens is not [string word, ..])
            return parsed.Errors[0].Message.TrimEnd('.');
        Command command = parsed.CommandResult.Command;
        IEnumerable<string> known = command.Subcommands.Where(sub => !sub.Hidden).Select(sub => sub.Name).Concat(Options(parsed.CommandResult));
        return $"`{path}` does not know {word}{Nearest.Question(word, known)}";
    }

    private static IEnumerable<string> Options(CommandResult? result)
    {
        for (; result is not null; result = result.Parent as CommandResult)
        {
            foreach (Option option in result.Command.Options)
                yield return option.Name;
        }
    }

    private static string Path(CommandResult result) => result.Parent is CommandResult parent ? $"{Path(parent)} {result.Command.Name}" : "regatta";
}
