using System.CommandLine;
using Regatta.Node;

namespace Regatta.Cli;

/// <summary><c>regatta leader</c>: one node of the leader site in the foreground.</summary>
internal static class LeaderCommand
{
    public const string Description = "Run one node of the leader site in the foreground, until Ctrl-C or SIGTERM. "
        + "For each option a flag goes before the environment, the environment before the file, the file before the default.";

    public static Command Create(Surroundings surroundings)
    {
        Option<string?> config = new("--config")
        {
            Description = "A file with options, YAML (.yaml, .yml) or JSON (.json); also REGATTA_CONFIG.",
            HelpName = "FILE",
        };
        Option<bool> print = new("--print-config")
        {
            Description = "Print the effective value of every option and where it comes from, as YAML, and do not start.",
        };
        Command command = new("leader", Description)
        {
            config, print,
        };
        NodeFlags flags = new(command);
        command.SetAction((parsed, token) =>
        {
            EffectiveSettings settings = EffectiveSettings.Resolve(
                new NodeOptions(), FileLayer(parsed.GetValue(config), surroundings), EnvironmentSettings.Read(surroundings.Environment), flags.Read(parsed));
            return parsed.GetValue(print) ? PrintAsync(settings, surroundings, token) : RunAsync(settings, surroundings, token);
        });
        return command;
    }

    private static SettingsLayer FileLayer(string? flag, Surroundings surroundings) =>
        (flag ?? surroundings.Environment.GetValueOrDefault("REGATTA_CONFIG")) is { Length: > 0 } path ? ConfigFile.Read(path) : SettingsLayer.Empty;

    private static async Task<int> PrintAsync(EffectiveSettings settings, Surroundings surroundings, CancellationToken token)
    {
        OutputSink output = new(surroundings.Output);
        output.WriteLine(ConfigPrinter.Print(settings).TrimEnd('\n'));
        await output.FlushAsync(token);
        return Refused(settings, surroundings) ? ExitCode.Usage : ExitCode.Ok;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, Surroundings surroundings, CancellationToken token) =>
        Refused(settings, surroundings)
            ? ExitCode.Usage
            : await NodeRun.RunAsync([settings.Options], surroundings, _ => [], token);

    private static bool Refused(EffectiveSettings settings, Surroundings surroundings)
    {
        foreach (string error in settings.Errors)
            ErrorReport.Write(surroundings.Error, error, "");
        if (settings.Errors.Count > 0)
            surroundings.Error.WriteLine("  see `regatta leader --help`; --print-config shows what is in effect and why");
        return settings.Errors.Count > 0;
    }
}
