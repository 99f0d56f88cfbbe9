using System.CommandLine;
using Regatta.Node;
using Regatta.Storage;

namespace Regatta.Cli;

/// <summary><c>regatta leader</c> and <c>regatta follower</c>: one node in the foreground.</summary>
internal static class NodeCommand
{
    public const string Leader = "leader";

    public const string Follower = "follower";

    private const string Sources = "For each option a flag goes before the environment, the environment before the file, the file before the default.";

    /// <summary>The command's name and description without its options, which are made from the node's.</summary>
    public static Command Bare(string name) => new(name, name == Leader
        ? "Run one node of the leader site in the foreground, until Ctrl-C or SIGTERM. " + Sources
        : "Run one node of a follower site in the foreground, until Ctrl-C or SIGTERM: it follows the leader site at replication.leader-address. " + Sources);

    public static Command Create(string name, Surroundings surroundings)
    {
        NodeOptions defaults = new() { Role = name == Leader ? NodeRole.Leader : NodeRole.Follower };
        Option<string?> config = new("--config")
        {
            Description = "A file with options, YAML (.yaml, .yml) or JSON (.json); also REGATTA_CONFIG.",
            HelpName = "FILE",
        };
        Option<bool> print = new("--print-config")
        {
            Description = "Print the effective value of every option and where it comes from, as YAML, and do not start.",
        };
        Command command = Bare(name);
        command.Add(config);
        command.Add(print);
        NodeFlags flags = new(command);
        command.SetAction((parsed, token) =>
        {
            EffectiveSettings settings = EffectiveSettings.Resolve(
                defaults, FileLayer(parsed.GetValue(config), surroundings), EnvironmentSettings.Read(surroundings.Environment), flags.Read(parsed));
            return parsed.GetValue(print) ? PrintAsync(name, settings, surroundings, token) : RunAsync(name, settings, surroundings, token);
        });
        return command;
    }

    private static SettingsLayer FileLayer(string? flag, Surroundings surroundings) =>
        (flag ?? surroundings.Environment.GetValueOrDefault("REGATTA_CONFIG")) is { Length: > 0 } path ? ConfigFile.Read(path) : SettingsLayer.Empty;

    private static async Task<int> PrintAsync(string name, EffectiveSettings settings, Surroundings surroundings, CancellationToken token)
    {
        OutputSink output = new(surroundings.Output);
        output.WriteLine(ConfigPrinter.Print(settings).TrimEnd('\n'));
        await output.FlushAsync(token);
        return Refused(name, settings, surroundings) ? ExitCode.Usage : ExitCode.Ok;
    }

    private static async Task<int> RunAsync(string name, EffectiveSettings settings, Surroundings surroundings, CancellationToken token) =>
        Refused(name, settings, surroundings)
            ? ExitCode.Usage
            : await NodeRun.RunAsync([settings.Options], surroundings, _ => [], token);

    private static bool Refused(string name, EffectiveSettings settings, Surroundings surroundings)
    {
        foreach (string error in settings.Errors)
            ErrorReport.Write(surroundings.Error, error, "");
        if (settings.Errors.Count > 0)
            surroundings.Error.WriteLine($"  see `regatta {name} --help`; --print-config shows what is in effect and why");
        return settings.Errors.Count > 0;
    }
}
