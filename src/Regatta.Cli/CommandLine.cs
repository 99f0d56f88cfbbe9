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
            ParseResult parsed = Tree(surroundings).Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
            if (parsed.Action is ParseErrorAction)
                return Refuse(parsed, surroundings);
            using StreamWriter output = new(surroundings.Output, leaveOpen: true);
            return await parsed.InvokeAsync(
                new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null, Output = output, Error = surroundings.Error },
                interrupted);
        }
        catch (Exception e)
        {
            return ErrorReport.Write(e, surroundings, interrupted);
        }
    }

    public static RootCommand Tree(Surroundings surroundings)
    {
        CommonOptions common = new(surroundings);
        RootCommand root = new("Regatta, a geo-distributed key-value store: run a node, and work with its tables.")
        {
            KvCommands.Create(common, surroundings),
            TableCommands.Create(common, surroundings),
            ClusterCommands.Create(common, surroundings),
            VersionCommand.Create(surroundings),
        };
        return root;
    }

    private static int Refuse(ParseResult parsed, Surroundings surroundings)
    {
        // The first error is the cause; those behind it are mostly its consequences.
        string path = Path(parsed.CommandResult);
        ErrorReport.Write(surroundings.Error, parsed.Errors[0].Message, $"see `{path} --help`");
        return ExitCode.Usage;
    }

    private static string Path(CommandResult result) => result.Parent is CommandResult parent ? $"{Path(parent)} {result.Command.Name}" : "regatta";
}
