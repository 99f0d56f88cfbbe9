using System.Text.RegularExpressions;
using Regatta.Node;

namespace Regatta.Cli;

/// <summary>
/// A node's options from environment variables: REGATTA_ and the option's name in upper case with _ for dots and dashes, or the name that the Go
/// project gives it. A variable that begins with REGATTA_ and is none of ours is an error.
/// </summary>
internal static partial class EnvironmentSettings
{
    private const string Prefix = "REGATTA_";

    public static SettingsLayer Read(IReadOnlyDictionary<string, string> environment)
    {
        List<Setting> settings = [];
        foreach (OptionDefinition option in OptionCatalog.All)
        {
            if (option.EnvironmentNames.FirstOrDefault(environment.ContainsKey) is { } variable)
                settings.Add(new Setting(option.Name, environment[variable], "environment variable " + variable));
        }
        return new SettingsLayer(settings, [.. Unknown(environment)]);
    }

    private static IEnumerable<string> Unknown(IReadOnlyDictionary<string, string> environment)
    {
        string[] known = [.. OptionCatalog.All.SelectMany(option => option.EnvironmentNames), .. CommonOptions.Variables.Select(variable => variable.Variable)];
        return environment.Keys
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal) && !known.Contains(name) && !IsFromKubernetes(name) && !IsForTests(name))
            .Order(StringComparer.Ordinal)
            .Select(name => $"environment variable {name} is not an option{Nearest.Question(name, known)}");
    }

    // Kubernetes sets these in every pod for a service that is called regatta or regatta-something.
    private static bool IsFromKubernetes(string name) => ServiceVariable().IsMatch(name);

    private static bool IsForTests(string name) =>
#if DEBUG
        name == DebugBugs.Variable ||
#endif
        name.StartsWith("REGATTA_TEST_", StringComparison.Ordinal);

    [GeneratedRegex("^REGATTA_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)$",
        RegexOptions.CultureInvariant | RegexOptions.NonBacktracking)]
    private static partial Regex ServiceVariable();
}
