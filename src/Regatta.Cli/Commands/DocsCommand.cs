using System.CommandLine;

namespace Regatta.Cli;

/// <summary>The hidden <c>regatta docs</c>: docs/cli.md, made from the command tree.</summary>
internal static class DocsCommand
{
    public static Command Create(Surroundings surroundings)
    {
        Command command = new("docs", "Print the reference of this program as Markdown.") { Hidden = true };
        command.SetAction(async (_, token) =>
        {
            // The defaults as they are without anybody's environment.
            Surroundings plain = surroundings with { Environment = new Dictionary<string, string>() };
            OutputSink output = new(surroundings.Output);
            output.WriteLine(Reference.Write(CommandLine.Tree(plain, withNodeOptions: true)));
            await output.FlushAsync(token);
            return ExitCode.Ok;
        });
        return command;
    }
}
