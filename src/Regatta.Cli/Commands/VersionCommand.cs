using System.CommandLine;
using System.Reflection;

namespace Regatta.Cli;

/// <summary><c>regatta version</c>: of this program, not of a node (<c>regatta cluster status -o json</c> has that).</summary>
internal static class VersionCommand
{
    public static string Version { get; } =
        typeof(VersionCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    public static Command Create(Surroundings surroundings)
    {
        Command command = new("version", "Print the version of this program.");
        command.SetAction(async (_, token) =>
        {
            OutputSink output = new(surroundings.Output);
            output.WriteLine("regatta " + Version);
            await output.FlushAsync(token);
            return ExitCode.Ok;
        });
        return command;
    }
}
